"""Measured plans: how a sweep finds and writes them, and how the engine reads them."""

import json
import warnings

import numpy as np
import pytest

from benchmarks.gpu import sweep
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.parts import parts, run_part
from minicnn.kernels import functional as F
from minicnn.kernels import reference
from minicnn.kernels.cuda import plan as model
from minicnn.kernels.cuda import plan_file

from .. import emulator
from .common import to_device

PRODUCT = "grad_weight", 72, 8, 640, 1, "TF32X3"


@pytest.fixture(autouse=True)
def nothing_is_known():
    """No file of an earlier test, and no sentence that was said."""

    def forget():
        for function in (plan_file._measured, plan_file._warn_once):
            function.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def card(emulate):
    run = emulate()
    return model.Card(run.processors, run.shared_memory, run.shared_memory_of_processor)


def slowest(card):
    """The way of `PRODUCT` that the model would choose last."""
    return max(model.ways(*PRODUCT, card), key=lambda way: way.cycles)


def content(card, **changes):
    way = slowest(card)
    entry = dict(zip(("kernel", *plan_file.SIZES, "precision"), PRODUCT, strict=True))
    entry |= {"tile": [way.tile.m, way.tile.n], "splits": way.splits, "microseconds": 1.0}
    return plan_file.head("emulated", card) | {"plans": [entry]} | changes


def chosen(path, card, monkeypatch):
    monkeypatch.setenv("MINICNN_PLANS", str(path))
    return plan_file.plan(*PRODUCT, card)


def test_a_measured_plan_is_used(card, tmp_path, monkeypatch):
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(content(card)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen(path, card, monkeypatch) == slowest(card) != model.plan(*PRODUCT, card)
        other = "forward", *PRODUCT[1:]
        assert plan_file.plan(*other, card) == model.plan(*other, card)
        monkeypatch.setenv("MINICNN_PLANS", "")
        assert plan_file.plan(*PRODUCT, card) == model.plan(*PRODUCT, card)


def entry(**changes):
    return lambda found: found | {"plans": [found["plans"][0] | changes]}


BAD = {
    "another card": (lambda f: f | {"gpu": "A100"}, "gpu is 'A100'; expected 'emulated'"),
    "other kernels": (lambda f: f | {"kernels": "0"}, "kernels is '0'; expected '"),
    "another format": (lambda f: f | {"format": 2}, "format is 2; expected 1"),
    "other sizes": (lambda f: f | {"card": [132, 1, 1]}, r"card is \[132, 1, 1\]; expected \[2, "),
    "no head": (lambda f: {"plans": f["plans"]}, "format is None; expected 1"),
    "no plans": (lambda f: f | {"plans": {}}, "the file has no list of plans"),
    "a list": (lambda f: [f], "the file has no list of plans"),
    "an unknown tile": (entry(tile=[32, 32]), "plan number 0 is damaged"),
    "no tile": (entry(tile=None), "plan number 0 is damaged"),
    "no parts": (entry(splits=0), "plan number 0 is damaged"),
    "half a part": (entry(splits=1.5), "plan number 0 is damaged"),
    "a size that is text": (entry(m="72"), "plan number 0 is damaged"),
    "an unknown kernel": (entry(kernel="backward"), "plan number 0 is damaged"),
    "an unknown precision": (entry(precision="FP8"), "plan number 0 is damaged"),
    "a precision that is a list": (entry(precision=[]), "plan number 0 is damaged"),
    "an entry that is a number": (lambda f: f | {"plans": [1]}, "plan number 0 is damaged: 1"),
    "a split that no way has": (
        entry(splits=999),
        r"no plan of grad_weight 72x8x640 has the tile and parts \(\d+, \d+, 999\)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_does_not_fit_is_not_used(what, card, tmp_path, monkeypatch):
    """One warning names the file and says why; the plans are those of the model."""
    change, sentence = BAD[what]
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(change(content(card))))
    with pytest.warns(UserWarning, match=f"plans.json.*{sentence}.*; the plans are estim") as noted:
        found = [chosen(path, card, monkeypatch) for _ in range(2)]
    assert found == 2 * [model.plan(*PRODUCT, card)]
    assert len(noted) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"null"])
def test_a_damaged_file_is_not_used(damage, card, tmp_path, monkeypatch):
    path = tmp_path / "plans.json"
    path.write_bytes(damage)
    with pytest.warns(UserWarning, match="plans.json: the file"):
        assert chosen(path, card, monkeypatch) == model.plan(*PRODUCT, card)


def test_a_file_that_is_missing_or_a_folder(card, tmp_path, monkeypatch):
    with pytest.warns(UserWarning, match=r"MINICNN_PLANS=.*none.json: there is no such file"):
        chosen(tmp_path / "none.json", card, monkeypatch)
    with pytest.warns(UserWarning, match="the file cannot be read: .*directory"):
        chosen(tmp_path, card, monkeypatch)


def test_the_file_of_the_cache_folder(card, tmp_path, monkeypatch):
    """Its name is the card's; where it is missing nothing is said."""
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.delenv("MINICNN_PLANS", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *a, **o: str(tmp_path))
    path = tmp_path / "plans-nvidia-h100-80gb-hbm3.json"
    assert plan_file.plan_path("NVIDIA H100 80GB HBM3") == path
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plan_file.plan(*PRODUCT, card) == model.plan(*PRODUCT, card)


X = np.random.default_rng(0).standard_normal((9, 6, 8, 8), dtype=np.float32)
DY = np.random.default_rng(1).standard_normal((9, 6, 8, 8), dtype=np.float32)


def gradient():
    return F.conv2d_grad_weight(to_device(DY), to_device(X), (3, 3, 8, 8), padding=1, bias=False)[0]


def test_a_sweep(card, tmp_path, monkeypatch):
    """It tries whole and split sums, and the engine then uses the fastest for this product."""
    tried, path = [], tmp_path / "new" / "plans.json"

    def times(self, work, repeats, launches):
        before = self.launches.count("finish")
        work(0)
        tried.append(self.launches.count("finish") > before)
        return [1e-3 if tried[-1] else 2e-3]

    monkeypatch.setattr(emulator.Emulator, "times", times)
    monkeypatch.setattr(sweep, "AFFORDABLE", 1e9)
    whole, split = (
        next(w for w in model.ways(*PRODUCT[:3], 432, *PRODUCT[4:], card) if (w.splits > 1) == more)
        for more in (False, True)
    )
    monkeypatch.setattr(model, "ways", lambda *product: [whole, split])
    monkeypatch.setattr(model, "plan", lambda *product: whole)
    plan_file._way.cache_clear()
    monkeypatch.setenv("MINICNN_PLANS", str(path))
    with pytest.warns(UserWarning, match="there is no such file"):
        lines = sweep.measured(lambda: (gradient(), gradient()))
    assert tried == [False, True]
    assert [(line["splits"], line["m"], line["k"]) for line in lines] == [(split.splits, 72, 432)]
    assert "1 plans. Of 1 products the estimated plan was the fastest for 0" in sweep.write(
        lines, None
    )
    assert "2.000 (geometric mean), at most 2.00" in sweep.write(lines, None)
    plan_file._measured.cache_clear()
    run = emulator.Emulator()
    emulator.install(run)
    found = gradient()
    assert run.launches == ["grad_weight", "finish"]
    expected = reference.conv2d_grad_weight(DY, X, (3, 3, 8, 8), padding=1)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    other = [lines[0] | {"k": 433}]
    assert "2 plans" in sweep.write(other, path)  # beside the one that is there
    path.write_text("{")
    assert ": 1 plans" in sweep.write(other, path)  # a damaged file is replaced
    plan_file._way.cache_clear()


def test_a_sweep_of_a_network(card, tmp_path, monkeypatch):
    """The part of the command, which tries only the model's own plans here."""
    monkeypatch.setattr(sweep, "AFFORDABLE", 0)
    monkeypatch.setenv("MINICNN_PLANS", str(tmp_path / "plans.json"))
    (part,) = parts(["fp32"], True, False, sweep.networks(["lenet5:2"]))
    with pytest.warns(UserWarning, match="there is no such file"):
        assert run_part(part, tmp_path / "lines") == 0
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["name"] for line in lines if line["kind"] == "begin"] == ["lenet5, batch 2"]
    plans = [line for line in lines if line["kind"] == "plan"]
    assert len(plans) > 10
    assert {line["kernel"] for line in plans} == set(plan_file.KERNELS)
    assert f"{len(plans)} plans. Of {len(plans)} products" in sweep.write(lines, None)
    assert sweep.write([], None) == "no plan was measured"
    monkeypatch.setenv("MINICNN_PLANS", "")
    assert sweep.write(lines, None) == "MINICNN_PLANS is empty: no plan is written"


def test_arguments_of_a_sweep(card, capsys, tmp_path):
    assert main(["--plans", "x.json"]) == 2
    assert main(["--sweep", "--plans", str(tmp_path)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "benchmarks.gpu: --plans x.json: it is the file that --sweep writes; there is no --sweep",
        f"benchmarks.gpu: --plans {tmp_path}: it is a folder; expected a file",
    ]
    (tmp_path / "file").touch()
    line = content(card)["plans"][0] | {"kind": "plan"}
    said = sweep.write([line], tmp_path / "file" / "plans.json")
    assert said.startswith("the plans cannot be written: ")
    assert str(tmp_path / "file") in said


def test_networks_to_sweep(card, capsys):
    assert sweep.networks(["resnet50", "lenet5:32"]) == [("resnet50", 128), ("lenet5", 32)]
    assert main(["--sweep", "lenet"]) == 2
    assert main(["--sweep", "lenet5:few"]) == 2
    assert main(["--sweep", "lenet5:0"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "benchmarks.gpu: --sweep lenet: there is no network 'lenet'; see minicnn list",
        "benchmarks.gpu: --sweep lenet5:few: 'few' is no number of images per batch",
        "benchmarks.gpu: --sweep lenet5:0: '0' is no number of images per batch",
    ]
