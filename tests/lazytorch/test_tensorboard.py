"""Event files for TensorBoard, read again by their own framing."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

import lazytorch


def records(folder: Path) -> list[bytes]:
    """The records of all event files in a folder."""
    found = []
    for path in sorted(folder.rglob("events*")):
        content, position = path.read_bytes(), 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            found.append(content[position + 12 : position + 12 + length])
            position += length + 16
    return found


def test_events_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from lazytorch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        writer.add_scalar("loss", lazytorch.tensor(1.5, requires_grad=True) * 2, 7)
        writer.add_scalars("two", {"a": lazytorch.ones(()), "b": 2.0}, 3)
        writer.add_histogram("weights", lazytorch.arange(10.0).bfloat16(), 1)
        writer.add_image("picture", lazytorch.rand(3, 4, 4), 1)
        writer.add_text("words", "written here", 1)
        with pytest.raises(NotImplementedError, match="add_graph"):
            writer.add_graph(lazytorch.nn.Linear(1, 1))
        writer.flush()
    written = b"".join(records(tmp_path))
    for word in (b"loss", b"two", b"weights", b"picture", b"written here"):
        assert word in written
    assert struct.pack("<f", 3.0) in written


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("lazytorch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        import lazytorch.utils.tensorboard  # noqa: F401
