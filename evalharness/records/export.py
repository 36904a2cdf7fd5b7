"""A run for other tools: a table of its samples (pandas, parquet, csv), W&B, MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.errors import DataError, DiskError, ServiceError, UsageError
from evalharness.records.folder import Run

if TYPE_CHECKING:
    import pandas

ENDINGS = (".parquet", ".csv", ".jsonl")


def write_table(run: Run, path: Path) -> None:
    """Write the run's samples as the file's ending says: .parquet, .csv or .jsonl.

    Raises:
        UsageError: another ending.
        ServiceError: pandas, or pyarrow for parquet, is not installed.
        DiskError: the disk refuses.
    """
    if path.suffix not in ENDINGS:
        raise UsageError(f"{path}: the ending must be one of {', '.join(ENDINGS)}.")
    table = run.samples()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            table.to_parquet(path, index=False)
        elif path.suffix == ".csv":
            _flat(table).to_csv(path, index=False)
        else:
            table.to_json(path, orient="records", lines=True, force_ascii=False)
    except ImportError:
        raise ServiceError("parquet needs pyarrow, which is not installed: pip install 'evalharness[hub]'") from None
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror or error}.") from None


def _flat(table: pandas.DataFrame) -> pandas.DataFrame:
    """With JSON in place of lists and objects, which csv does not know."""
    import json

    def spelled(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value

    return table.map(spelled)


def facts_for_trackers(run: Run) -> tuple[dict[str, Any], dict[str, float]]:
    """(parameters, metrics) of a run as experiment trackers hold them.

    Raises:
        DataError: the run was never summarised.
    """
    record, results = run.record, run.results
    if results is None:
        raise DataError(f"{run.path}: the run has not ended, so it has no results.json; run it again to finish it.")
    parameters = {
        "task": record.task,
        "protocol": record.protocol,
        "protocol_hash": record.hashes.get("protocol", ""),
        "model": record.model.get("name"),
        "fingerprint": record.model.get("fingerprint"),
        "samples": results.samples,
        "run": record.id,
    }
    metrics: dict[str, float] = {"seconds": results.seconds}
    for name, score in results.scores.items():
        ends = {"": score.value, "_low": score.low, "_high": score.high}
        metrics |= {f"{name}{end}": value for end, value in ends.items() if value is not None}
    return parameters, metrics


def to_wandb(run: Run, project: str) -> None:
    """Log a run to Weights & Biases: parameters, scores with interval ends, and the three files as an artifact.

    Raises:
        ServiceError: wandb is not installed.
        DataError: the run was never summarised.
    """
    try:
        import wandb
    except ModuleNotFoundError:
        raise ServiceError("W&B needs wandb, which is not installed: pip install 'evalharness[wandb]'") from None
    parameters, metrics = facts_for_trackers(run)
    with wandb.init(project=project, name=run.record.id, config=parameters, job_type="evaluation") as logged:
        logged.log(metrics)
        artifact = wandb.Artifact(run.record.id.replace("/", "_"), type="evalharness-run")
        artifact.add_dir(str(run.path))
        logged.log_artifact(artifact)


def to_mlflow(run: Run, experiment: str) -> None:
    """Log a run to MLflow: parameters, scores with interval ends, and the three files as artifacts.

    Raises:
        ServiceError: mlflow is not installed.
        DataError: the run was never summarised.
    """
    try:
        import mlflow
    except ModuleNotFoundError:
        raise ServiceError("MLflow needs mlflow, which is not installed: pip install 'evalharness[mlflow]'") from None
    parameters, metrics = facts_for_trackers(run)
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=run.record.id):
        mlflow.log_params(parameters)
        mlflow.log_metrics(metrics)
        mlflow.log_artifacts(str(run.path))
