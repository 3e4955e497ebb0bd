"""The viewer's page: what it is made of, how it is served, and how it behaves in a browser."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lazytorch as torch
from codegen.runtime.compiler import find_compiler
from lazytorch.inspect import viewer
from lazytorch.inspect.collection import Collector

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGE = Path(viewer.__file__).parent / "page"
pytestmark = [
    pytest.mark.compiler,
    pytest.mark.host,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]

SCRIPT = """
import torch
model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.ones(7, 6), torch.arange(7) % 3
for _ in range(2):
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("</script> <!--", loss.item() > 0)
"""


def collected(compute: Callable[[], Any]) -> dict[str, Any]:
    collector = Collector().start()
    try:
        compute()
    finally:
        collector.stop()
    return collector.data("test")


def of_a_thousand_nodes() -> None:
    x = torch.ones(64, 32)
    for i in range(170):
        w = torch.full((32, 32), 1 / 32)
        x = torch.relu(x @ w + i) if i % 6 == 0 else (x * 0.5).sin() + x
    x.sum().item()


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    made: dict[str, Any] = json.loads(found[1])
    return made


@pytest.fixture(scope="module")
def training_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small training script, as the command writes it in a process of its own."""
    folder = tmp_path_factory.mktemp("viewed")
    (folder / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "lazytorch", "view", "train.py", "--save", "page.html",
               "--no-serve"]  # fmt: skip
    path = f"{Path(viewer.__file__).parents[2]}"
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("True") == 2
    return folder / "page.html"


def test_the_page_holds_passes_kernels_lines_times_and_memory(training_page: Path) -> None:
    page = training_page.read_text()
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    data = data_of(page)
    assert "torch.nn.functional.cross_entropy" in "\n".join(data["files"]["train.py"])
    last = data["plans"][-1]
    assert last["runs"] == 1 and last["stages"] and last["passes"][0]["name"] == "expand"
    for plan in data["plans"]:
        assert len(plan["stages"]) == len(plan["passes"]) + 1
        for kernel in plan["kernels"]:
            assert kernel["runs"] and kernel["seconds"] > 0 and "void" in kernel["source"]
            assert kernel["nodes"] and kernel["lines"]
        for stage in plan["stages"]:  # a node comes after what it reads
            place = {n: i for i, n in enumerate(stage)}
            for n in stage:
                assert all(place[s] < place[n] for s in plan["nodes"][n]["inputs"])
        for place in plan["memory"]["places"]:
            assert place["offset"] + place["bytes"] <= plan["memory"]["arena"]
    kinds = {span[1] for span in data["timeline"]["spans"]}
    assert {"realize", "plan", "kernel", "pass", "lower"} <= kinds and data["timeline"]["memory"]
    assert data["roofline"]["bytes_per_second"] > 0


def test_places_that_are_needed_at_once_do_not_overlap() -> None:
    def compute() -> None:
        x = torch.ones(40, 30)
        a, b = x @ torch.ones(30, 20), x @ torch.ones(30, 50)
        (a.softmax(1).sum() + (b @ torch.ones(50, 4)).softmax(1).sum()).item()

    for plan in collected(compute)["plans"]:
        places = [(min(p["kernels"]), max(p["kernels"]), p["offset"], p["offset"] + p["bytes"])
                  for p in plan["memory"]["places"]]  # fmt: skip
        for i, (first, last, begin, end) in enumerate(places):
            for other in places[:i]:
                assert last < other[0] or other[1] < first or end <= other[2] or other[3] <= begin


def test_a_failing_script_has_a_page_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        torch.ones(3).exp().sum().item()
        torch.ones(2) + torch.ones(3)

    page = tmp_path / "page.html"
    chosen = argparse.Namespace(save=str(page), no_serve=True, port=0)
    assert viewer.view("fails.py", fails, chosen) == 1
    assert "RuntimeError" in capsys.readouterr().err
    assert data_of(page.read_text())["plans"]


def test_the_page_is_served_on_loopback_alone() -> None:
    with viewer.server_of("<p>hello</p>") as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(address + "/") as answer:
            assert answer.read() == b"<p>hello</p>"
        foreign = urllib.request.Request(address + "/", headers={"Host": "example.com:80"})
        for request in (foreign, address + "/other"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(request)
        server.shutdown()


def test_vendored_libraries_are_what_their_table_says() -> None:
    table = (PAGE / "vendor" / "README.md").read_text()
    rows = re.findall(r"^\| (\S+\.js) \|.*\| (\w{64}) \|$", table, re.MULTILINE)
    assert len(rows) == 2
    for name, digest in rows:
        assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == digest
        assert (
            "Permission is hereby granted"
            in (PAGE / "vendor" / f"{name.split('.')[0]}.LICENSE").read_text()
        )


def test_notebooks_show_kernels_graphs_and_tensors() -> None:
    y = (torch.ones(4, 5) * 2).softmax(1)
    (kernel,) = torch.kernels(y)
    shown = kernel._repr_html_()
    assert "softmax" not in shown and "test_viewer.py" in shown and "&lt;" in shown
    network = torch.graph(y)
    assert "<table>" in network._repr_html_() and "exp_1" in network._repr_html_()
    assert len(pickle.loads(pickle.dumps(network.__class__)).__mro__) > 1
    assert "float32[4×5]" in y._repr_html_() and "0.2000" in y._repr_html_()


# ---- In a browser ------------------------------------------------------------------------------

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield made
        made.close()


class Viewed:
    """A page in a browser without a network, and what it complained of."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.context = browser.new_context(offline=True, viewport={"width": 1300, "height": 800})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.goto(path.as_uri())
        self.until("graph.drawn > 0")

    def until(self, condition: str) -> None:
        for _ in range(3000):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never true: {condition}; {self.complaints}")

    def redrawn(self, selector: str) -> None:
        before = self.page.evaluate("graph.version")
        self.page.click(selector)
        self.until(f"graph.drawn > {before}")

    def click_node(self, choice: str) -> str:
        """Click the first node of a selector where it is drawn; what the panel then says."""
        x, y = self.page.evaluate(
            """choice => { const n = graph.cy.nodes(choice)[0]; graph.cy.zoom(1);
            graph.cy.center(n); const r = n.renderedPosition();
            const b = document.getElementById("canvas").getBoundingClientRect();
            return [b.x + r.x, b.y + r.y]; }""",
            choice,
        )
        self.page.mouse.click(x, y)
        self.page.wait_for_timeout(50)
        text: str = self.page.inner_text("#details")
        return text


def test_a_training_scripts_page_in_a_browser(browser: Any, training_page: Path) -> None:
    viewed = Viewed(browser, training_page)
    shown = viewed.click_node("[kernel = 0]")
    assert "train.py" in shown and "kernel 0 of plan" in shown and "void" in shown
    viewed.redrawn("#expand")
    shown = viewed.click_node("[group >= 0]")
    assert re.search(r"train\.py:\d+", shown) and "Source of its kernel" in shown
    viewed.redrawn("#stages button[data-stage='1']")
    assert viewed.page.evaluate("graph.cy.nodes(\"[change = 'added']\").length") > 0
    drawn = {"kernels": "#table tbody tr", "roofline": "#roofline circle", "timeline": "#spans"}
    for tab, there in {**drawn, "memory": "#memory svg, #memory .none"}.items():
        viewed.page.click(f"#tabs button[data-tab={tab}]")
        assert viewed.page.locator(there).count()
    viewed.page.click("#tabs button[data-tab=kernels]")
    for column in range(12):
        viewed.page.click(f"#table th[data-column='{column}']")
    viewed.page.click("#table tbody tr >> nth=1")
    assert "kernel" in viewed.page.inner_text("#details .kind")
    viewed.page.click("#theme")
    assert viewed.complaints == []
    viewed.context.close()


def test_a_graph_of_a_thousand_nodes_in_a_browser(browser: Any, tmp_path: Path) -> None:
    data = collected(of_a_thousand_nodes)
    most = max(data["plans"], key=lambda plan: len(plan["nodes"]))
    assert len(most["nodes"]) > 1000
    path = tmp_path / "page.html"
    path.write_text(viewer.page(data))
    viewed = Viewed(browser, path)
    viewed.page.evaluate(f"select(-1, -1, {data['plans'].index(most)})")
    viewed.redrawn("#expand")
    assert viewed.page.evaluate("graph.cy.nodes().length") > 1000
    assert re.search(r"test_viewer\.py:\d+", viewed.click_node("[group >= 0]"))
    viewed.redrawn("#stages button[data-stage='0']")
    assert viewed.page.evaluate("graph.cy.nodes().length") == len(most["stages"][0])
    viewed.click_node("[node >= 0]")
    assert viewed.complaints == []
    viewed.context.close()
