"""``lazytorch view``: run a script, then show all that it made and ran on one page.

The page is one HTML file that needs nothing else: it loads nothing, and its content policy forbids
it to.
"""

from __future__ import annotations

import argparse
import html
import importlib.resources
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lazytorch.inspect.collection import Collector
from lazytorch.inspect.roofline import machine

_SCRIPTS = ("data.js", "details.js", "graph.js", "charts.js", "timeline.js", "table.js", "main.js")


def page(data: Mapping[str, Any]) -> str:
    """The data as one HTML file that opens without a network."""
    folder = importlib.resources.files("lazytorch.inspect").joinpath("page")

    def read(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    # "</script>" and "<!--" end or change a script, wherever they stand in it.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "TITLE": html.escape(str(data["title"])),
        "STYLE": read("style.css"),
        "DATA": text,
        "CYTOSCAPE": read("vendor/cytoscape.min.js"),
        "DAGRE": read("vendor/dagre.min.js").replace("//# sourceMappingURL=dagre.min.js.map", ""),
        "LAYOUT": read("layout.js"),
        "SCRIPT": "\n".join([read(name) for name in _SCRIPTS]),
    }
    pieces = read("page.html").split("@@")  # text, name, text, name, …
    return "".join([parts[p] if i % 2 else p for i, p in enumerate(pieces)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--save", metavar="FILE", help="write the page into a file")
    parser.add_argument("--no-serve", action="store_true", help="do not serve the page")
    parser.add_argument("--port", type=int, default=0, help="port to serve on; default: a free one")


def view(script: str, run: Callable[[], None], chosen: argparse.Namespace) -> int:
    """Run a script by ``run``, then save and serve its page. The script's status: 1 if it failed.

    Of a script that fails there is a page too, up to where it failed.
    """
    status = 0
    collector = Collector().start()
    try:
        run()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
        print("lazytorch: interrupted; the page has what ran until now", file=sys.stderr)
    except Exception:
        traceback.print_exc()
        status = 1
    finally:
        collector.stop()
    title = os.path.basename(script)
    text = page(collector.data(title, machine_roofline(collector.device())))
    if chosen.save:
        Path(chosen.save).write_text(text, encoding="utf-8")
        print(f"{chosen.save}: {len(text) / (1 << 20):.1f} MiB", file=sys.stderr)
    if not chosen.no_serve:
        with server_of(text, chosen.port) as server:
            print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends)", file=sys.stderr)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print(file=sys.stderr)
    return status


def server_of(text: str, port: int = 0) -> ThreadingHTTPServer:
    """A server of this one page, on loopback alone."""
    content = text.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Another site's name that leads here must not read the page.
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            if self.path != "/" or host not in ("127.0.0.1", "localhost"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def machine_roofline(device: str) -> dict[str, Any] | None:
    """What a device reaches: bytes, and operations by dtype, a second; None where no kernel can
    be compiled to measure it."""
    try:
        found = machine(device)
    except RuntimeError:
        return None
    return {
        "bytes_per_second": found.bytes_per_second,
        "cache_bytes_per_second": found.cache_bytes_per_second,
        "flops_per_second": dict(found.flops_per_second),
    }
