from evalharness.cli.engine_tree import picture
from evalharness.records.run import EngineLayer, ResultsRecord

ENGINE = {
    "tokens_requested": 192,
    "tokens_computed": 80,
    "tokens_decoded": 20,
    "wrong_guesses": 3,
    "padding_rows": 0,
    "steps": 4,
    "peak_kv_bytes": 0,
    "prefill_seconds": 3.0,
    "decode_seconds": 1.0,
}


def results(layers) -> ResultsRecord:
    return ResultsRecord(
        run="r", samples=2, counts={}, usage={}, scores={}, seconds=6.0, engine=ENGINE, engine_tree=layers
    )


def test_depth_sharing_and_time_are_drawn() -> None:
    lines = picture(
        results(
            [
                EngineLayer(depth=0, asked=128, computed=64, branches=1, seconds=2.4),
                EngineLayer(depth=64, asked=64, computed=16, branches=2, seconds=0.6),
            ]
        )
    )
    assert [line.split() for line in lines[1:3]] == [
        ["0-63", "128", "64", "2.0x", "1", "60.0%", "#" * 20 + "." * 20],
        ["64-127", "64", "16", "4.0x", "2", "15.0%", "#" * 5 + "." * 15],
    ]
    assert lines[3] == "texts: 20 tokens drawn in 1.0 s (25.0% of the time), 3 rows guessed in vain"
    assert lines[4] == "4 steps took 4.0 s; 2.0 s of the run were outside the engine"


def test_a_deep_tree_has_a_row_for_several_layers() -> None:
    layers = [EngineLayer(depth=64 * number, asked=1, computed=1, branches=0, seconds=0) for number in range(100)]
    lines = picture(results(layers))
    assert len(lines) - 3 == 25
    assert lines[1].split()[:3] == ["0-255", "4", "4"]
    assert lines[25].split()[:3] == ["6,144-6,399", "4", "4"]


def test_no_engine_no_picture() -> None:
    assert picture(results([]).model_copy(update={"engine": {}})) == []
