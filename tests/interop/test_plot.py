# SPDX-License-Identifier: Apache-2.0
"""nibble-plot's event files, read back by TensorBoard's own reader."""

import json
import math

import numpy
import pytest
from common import run

tensorboard = pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing import event_accumulator, event_file_loader  # noqa: E402

OPTIONS = {"rank": "16", "learning-rate": "2e-04", "targets": "q_proj|v_proj"}


def write_metrics(path, steps=300, seed=0):
    """A run's metrics; what was written, by metric."""
    generator = numpy.random.default_rng(seed)
    curves = {"loss": [], "learning_rate": [], "tokens": [], "tokens_per_second": [], "peak_rss": [],
              "validation_loss": []}
    with open(path, "w") as file:
        record = {"step": 0, "run": {"version": "0", "started": 1700000000, "steps": steps,
                                     "options": OPTIONS}}
        file.write(json.dumps(record) + "\n")
        for step in range(1, steps + 1):
            record = {"loss": float(generator.lognormal()), "learning_rate": 1e-4 / step,
                      "tokens": 128, "tokens_per_second": 64.0, "peak_rss": 2**33 + step}
            for name, value in record.items():
                curves[name].append((step, value))
            file.write(json.dumps({"step": step, **record}) + "\n")
            if step % 50 == 0:
                curves["validation_loss"].append((step, float(generator.lognormal())))
                file.write(json.dumps({"step": step,
                                       "validation_loss": curves["validation_loss"][-1][1]}) + "\n")
    return curves


def tag(name):
    return "validation/loss" if name == "validation_loss" else f"train/{name}"


def test_tensorboard_reads_every_scalar(tmp_path):
    """Every value of every metric at its step, as the float32 that an event holds."""
    curves = write_metrics(tmp_path / "metrics.jsonl")
    run("nibble-plot", tmp_path / "metrics.jsonl", "--to=tensorboard", "-o", tmp_path / "events")
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "events"), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    assert events.file_version == 2
    read = {}
    for name in events.Tags()["scalars"]:
        read[name] = [(e.step, e.value) for e in events.Scalars(name)]
    assert set(read) == {tag(name) for name in curves}
    for name, values in curves.items():
        assert [step for step, _ in read[tag(name)]] == [step for step, _ in values]
        got = numpy.float32([value for _, value in read[tag(name)]])
        assert (got == numpy.float32([value for _, value in values])).all(), name
    # 128 tokens at 64 a second: two seconds a step from when the run began.
    times = [e.wall_time for e in events.Scalars("train/loss")]
    assert times == [1700000000 + 2 * step for step in range(1, 301)]


def test_options_are_a_text(tmp_path):
    """The run's options as TensorBoard's text plugin takes them."""
    write_metrics(tmp_path / "metrics.jsonl", steps=3)
    run("nibble-plot", tmp_path / "metrics.jsonl", "--to=tensorboard", "-o", tmp_path / "events")
    events = event_accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert events.PluginTagToContent("text") == {"options/text_summary": b""}
    (event,) = events.Tensors("options/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert text == ("| option | value |\n|---|---|\n| rank | 16 |\n| learning-rate | 2e-04 |\n"
                    "| targets | q_proj\\|v_proj |\n")
    assert numpy.atleast_1d(tensorboard.util.tensor_util.make_ndarray(event.tensor_proto)).shape == (1,)


def test_runs_are_folders_and_records_are_whole(tmp_path):
    """A folder a run; the loader checks every record's checksums and counts them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_metrics(tmp_path / name / "metrics.jsonl", steps=20, seed=ord(name))
    run("nibble-plot", tmp_path / "a", tmp_path / "b", "--to=tensorboard", "-o", tmp_path / "events")
    for name in ("a", "b"):
        (path,) = (tmp_path / "events" / name).iterdir()
        loaded = list(event_file_loader.RawEventFileLoader(str(path)).Load())
        assert len(loaded) == 1 + 1 + 20  # version, options, a record a step
        # One flipped bit is seen: the checksums are what TensorBoard computes.
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
        assert len(list(event_file_loader.RawEventFileLoader(str(path)).Load())) < len(loaded)


def test_not_a_number_is_left_out(tmp_path):
    """A null is a gap, in TensorBoard too."""
    (tmp_path / "m.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": null}\n'
                                      '{"step": 3, "loss": 1}\n')
    run("nibble-plot", tmp_path / "m.jsonl", "--to=tensorboard", "-o", tmp_path / "events")
    events = event_accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 2.0), (3, 1.0)]
    assert not any(math.isnan(e.value) for e in events.Scalars("train/loss"))
