"""Names to components, as strings until one is used; and the index of the YAML files that are shipped.

Importing this module imports no component. A plugin adds names through entry points of the groups
``evalharness.parsers``, ``evalharness.metrics``, ``evalharness.methods``, ``evalharness.judges``,
``evalharness.tools``, ``evalharness.backends``, ``evalharness.generators``, ``evalharness.perturbations``
(``name = "package.module:attribute"``) and folders of YAML through ``evalharness.tasks`` (``name = "package"``: its
folder ``tasks/``). A user's own folder of YAML may hold a `components.py`, which is only run when the user trusts it
(`trust`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any, Literal

from evalharness.errors import DataError, ServiceError, UsageError, nearest

Kind = Literal["parser", "metric", "method", "judge", "tool", "backend", "generator", "perturbation"]

_BUILTIN: dict[Kind, dict[str, str]] = {
    "parser": {
        "api_call": "evalharness.answers.function_calls.api_call:ApiCallParser",
        "boolean": "evalharness.answers.boolean:BooleanParser",
        "boxed": "evalharness.answers.boxed:BoxedParser",
        "choice": "evalharness.answers.choice:ChoiceParser",
        "code": "evalharness.answers.code:CodeParser",
        "function_call": "evalharness.answers.function_calls.parser:FunctionCallParser",
        "lm_eval": "evalharness.answers.lm_eval:LmEvalParser",
        "number": "evalharness.answers.number:NumberParser",
        "rating": "evalharness.answers.rating:RatingParser",
        "regex": "evalharness.answers.regex:RegexParser",
        "span": "evalharness.answers.span:SpanParser",
        "text": "evalharness.answers.text:TextParser",
        "verdict": "evalharness.answers.verdict:VerdictParser",
    },
    "metric": {
        "acc": "evalharness.scoring.choices:Accuracy",
        "acc_bytes": "evalharness.scoring.choices:AccuracyByBytes",
        "acc_norm": "evalharness.scoring.choices:AccuracyByCharacters",
        "accuracy_gap": "evalharness.scoring.leanings:AccuracyGap",
        "any_call": "evalharness.scoring.function_calls.metric:AnyCallMetric",
        "api_call": "evalharness.scoring.function_calls.api_metrics:ApiCall",
        "api_hallucination": "evalharness.scoring.function_calls.api_metrics:ApiHallucination",
        "bad_calls": "evalharness.scoring.loops:BadCalls",
        "auroc": "evalharness.scoring.self_check:Discrimination",
        "bias_score": "evalharness.scoring.leanings:BiasScore",
        "bleu": "evalharness.scoring.translation:Bleu",
        "bits_per_byte": "evalharness.scoring.perplexity:BitsPerByte",
        "byte_perplexity": "evalharness.scoring.perplexity:BytePerplexity",
        "chrf": "evalharness.scoring.translation:Chrf",
        "contains": "evalharness.scoring.match:Contains",
        "drop_f1": "evalharness.scoring.spans:DropF1",
        "exact_match": "evalharness.scoring.match:ExactMatch",
        "failed_actions": "evalharness.scoring.loops:FailedActions",
        "finished": "evalharness.scoring.loops:Finished",
        "f1": "evalharness.scoring.match:F1",
        "function_call": "evalharness.scoring.function_calls.metric:FunctionCallMetric",
        "first_position_rate": "evalharness.scoring.pairs:FirstPositionRate",
        "greedy_choice": "evalharness.scoring.choices:GreedyChoice",
        "greedy_match": "evalharness.scoring.perplexity:GreedyMatch",
        "human_agreement": "evalharness.scoring.pairs:HumanAgreement",
        "human_kappa": "evalharness.scoring.pairs:HumanKappa",
        "instructions_followed": "evalharness.scoring.instructions.metrics:InstructionsFollowed",
        "judge_rating": "evalharness.scoring.verdicts:JudgeRating",
        "judge_score": "evalharness.scoring.judge_scores:JudgeScore",
        "judgement_accuracy": "evalharness.scoring.pairs:JudgementAccuracy",
        "length_controlled_win_rate": "evalharness.scoring.pairs:LengthControlledWinRate",
        "leave_one_out": "evalharness.scoring.spans:LeaveOneOut",
        "likelihood_diff": "evalharness.scoring.leanings:LikelihoodDifference",
        "likelier_share": "evalharness.scoring.associations:LikelierShare",
        "lm_eval_exact_match": "evalharness.scoring.match:LmEvalExactMatch",
        "hits_at_k": "evalharness.scoring.ranking:HitsAtK",
        "hendrycks_equal": "evalharness.scoring.symbolic.metrics:HendrycksEqual",
        "math_equal": "evalharness.scoring.symbolic.metrics:MathEqual",
        "math_verify": "evalharness.scoring.symbolic.metrics:MathVerify",
        "mean_reciprocal_rank": "evalharness.scoring.ranking:MeanReciprocalRank",
        "minerva_equal": "evalharness.scoring.symbolic.metrics:MinervaEqual",
        "multiplied_references": "evalharness.scoring.multiplied:MultipliedReferences",
        "no_call": "evalharness.scoring.function_calls.metric:NoCallMetric",
        "passes": "evalharness.scoring.passes:Passes",
        "position_consistency": "evalharness.scoring.pairs:PositionConsistency",
        "probability_mass": "evalharness.scoring.choices:ProbabilityMass",
        "pct_stereotype": "evalharness.scoring.leanings:StereotypeShare",
        "perplexity": "evalharness.scoring.perplexity:Perplexity",
        "preference": "evalharness.scoring.leanings:Preference",
        "prompt_followed": "evalharness.scoring.instructions.metrics:PromptFollowed",
        "reference_contrast": "evalharness.scoring.contrast:ReferenceContrast",
        "retrieval_recall": "evalharness.scoring.retrieval:RetrievalRecall",
        "rouge": "evalharness.scoring.summaries:Rouge",
        "steps": "evalharness.scoring.loops:Steps",
        "stereotype_score": "evalharness.scoring.associations:StereotypeScore",
        "self_check": "evalharness.scoring.self_check:SelfCheck",
        "ter": "evalharness.scoring.translation:Ter",
        "tests_passed": "evalharness.scoring.passes:PassedTests",
        "tool_uses": "evalharness.scoring.loops:ToolUses",
        "unanswered": "evalharness.scoring.unanswered:Unanswered",
        "verdict_share": "evalharness.scoring.verdicts:VerdictShare",
        "wanted_verdict": "evalharness.scoring.wanted_verdict:WantedVerdict",
        "win_rate": "evalharness.scoring.pairs:WinRate",
        "word_perplexity": "evalharness.scoring.perplexity:WordPerplexity",
    },
    "method": {
        "chain_of_thought": "evalharness.elicitation.generate:chain_of_thought",
        "choice_likelihood": "evalharness.elicitation.likelihood:choice_likelihood",
        "continuation_likelihood": "evalharness.elicitation.likelihood:continuation_likelihood",
        "conversation": "evalharness.elicitation.conversation:conversation",
        "direct": "evalharness.elicitation.generate:direct",
        "few_shot": "evalharness.elicitation.generate:few_shot",
        "function_calling": "evalharness.elicitation.calls:function_calling",
        "pairwise_judgement": "evalharness.elicitation.judgement:pairwise_judgement",
        "program_aided": "evalharness.elicitation.programs:program_aided",
        "program_of_thoughts": "evalharness.elicitation.programs:program_of_thoughts",
        "react": "evalharness.elicitation.react:react",
        "rolling_likelihood": "evalharness.elicitation.likelihood:rolling_likelihood",
        "self_check": "evalharness.elicitation.self_check:self_check",
        "self_consistency": "evalharness.elicitation.generate:self_consistency",
        "zero_shot_chain_of_thought": "evalharness.elicitation.generate:zero_shot_chain_of_thought",
    },
    "judge": {
        "both_orders": "evalharness.judging.both_orders:BothOrders",
        "classifier": "evalharness.judging.classifier:Classifier",
        "execution": "evalharness.judging.execution:Execution",
        "input_output": "evalharness.judging.input_output:InputOutput",
        "pairwise": "evalharness.judging.pairwise:Pairwise",
        "paraphrase": "evalharness.judging.paraphrase:Paraphrase",
        "question": "evalharness.judging.question:Question",
        "rating": "evalharness.judging.rating:Rating",
        "rubric": "evalharness.judging.rubric:Rubric",
        "lean": "evalharness.judging.lean:Lean",
        "refusal": "evalharness.judging.refusal:Refusal",
        "self_check_entailment": "evalharness.judging.self_check.entailment:SelfCheckEntailment",
        "self_check_prompt": "evalharness.judging.self_check.prompt:SelfCheckPrompt",
        "self_check_question": "evalharness.judging.self_check.question:SelfCheckQuestion",
        "self_check_unigram": "evalharness.judging.self_check.unigram:SelfCheckUnigram",
        "wordlist": "evalharness.judging.wordlist:Wordlist",
    },
    "tool": {
        "calculator": "evalharness.tools.calculator:Calculator",
        "lookup": "evalharness.tools.search:Lookup",
        "python": "evalharness.tools.python:Python",
        "search": "evalharness.tools.search:Search",
    },
    "backend": {
        "hf": "evalharness.backends.transformers:load",
        "litellm": "evalharness.backends.litellm:load",
        "openai": "evalharness.backends.openai:load",
        "replay": "evalharness.backends.replay:load",
        "stack": "evalharness.backends.stack:load",
        "vllm": "evalharness.backends.vllm:load",
    },
    "generator": {
        "arithmetic": "evalharness.data.generators.arithmetic:generate",
        "boolean_assignment": "evalharness.data.generators.boolean_assignment:generate",
        "colored_objects": "evalharness.data.generators.colored_objects:generate",
        "coin_flip": "evalharness.data.generators.coin_flip:generate",
        "dyck_languages": "evalharness.data.generators.dyck_languages:generate",
        "fictional_ontology": "evalharness.data.generators.fictional_ontology:generate",
        "key_value_retrieval": "evalharness.data.generators.key_value_retrieval:generate",
        "knowledge_graph": "evalharness.data.generators.knowledge_graph:generate",
        "last_letter_concatenation": "evalharness.data.generators.last_letters:generate",
        "object_counting": "evalharness.data.generators.object_counting:generate",
        "parity": "evalharness.data.generators.parity:generate",
        "repeat_copy": "evalharness.data.generators.repeat_copy:generate",
        "reverse_list": "evalharness.data.generators.reverse_list:generate",
        "scan": "evalharness.data.generators.scan:generate",
        "word_sorting": "evalharness.data.generators.word_sorting:generate",
    },
    "perturbation": {
        "case": "evalharness.prompting.perturbations.case:Case",
        "option_order": "evalharness.prompting.perturbations.option_order:OptionOrder",
        "spacing": "evalharness.prompting.perturbations.spacing:Spacing",
        "typos": "evalharness.prompting.perturbations.typos:Typos",
        "wording": "evalharness.prompting.perturbations.wording:OtherWording",
    },
}


_TRUSTED: dict[Kind, dict[str, Any]] = {kind: {} for kind in _BUILTIN}
"""Components of folders that the user trusts, as they are."""


def names(kind: Kind) -> list[str]:
    """Every known name of a kind, built in, from a plugin or from a trusted folder, sorted."""
    return sorted(_BUILTIN[kind].keys() | _plugins(kind).keys() | _TRUSTED[kind].keys())


def lookup(kind: Kind, name: str) -> Any:
    """The component behind a name, imported now.

    Raises:
        UsageError: no such name; the nearest known one is named.
        ServiceError: the component needs a package that is not installed.
    """
    if name in _TRUSTED[kind]:
        return _TRUSTED[kind][name]
    target = _BUILTIN[kind].get(name) or _plugins(kind).get(name)
    if target is None:
        raise UsageError(f"unknown {kind} '{name}'; {nearest(name, names(kind))}")
    try:
        component = _imported(target)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("evalharness"):
            raise
        raise ServiceError(
            f"the {kind} '{name}' needs the package '{error.name}', which is not installed; "
            "pip install 'evalharness[stack,hub]' brings what the built-in ones need."
        ) from error
    except Exception as error:
        if name in _BUILTIN[kind]:
            raise
        raise DataError(
            f"the {kind} '{name}' comes from a plugin that fails: {target}: {type(error).__name__}: {error}; "
            "mend or uninstall it."
        ) from error
    if missing := [attribute for attribute in _SHAPE[kind] if not hasattr(component, attribute)]:
        raise DataError(
            f"the {kind} '{name}' comes from a plugin that brings something else: {target} has no '{missing[0]}'; "
            "ask its author."
        )
    return component


_SHAPE: dict[Kind, tuple[str, ...]] = {
    "parser": (),
    "metric": (),
    "method": ("run", "options", "needs"),
    "judge": (),
    "tool": ("schema", "version", "options", "use"),
    "backend": ("__call__",),
    "generator": ("__call__",),
    "perturbation": (),
}
"""Attributes that tell a component of a kind from something else; the classes of parsers, metrics, judges and
perturbations are checked where they are built."""


def _imported(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@cache
def _plugins(kind: Kind) -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=f"evalharness.{kind}s")}


COMPONENTS_FILE = "components.py"


def trust(folder: Path) -> None:
    """Run the `components.py` of a user's folder, if it has one, and take up its components.

    The file says ``COMPONENTS = {"parser": {"my_parser": MyParser}, ...}``; a built-in name stays built in.

    Raises:
        DataError: the file fails, or says nothing of the kind.
    """
    path = folder / COMPONENTS_FILE
    if not path.is_file():
        return
    spec = util.spec_from_file_location(f"evalharness_components_{abs(hash(path.resolve()))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        components = module.COMPONENTS
    except (Exception, SystemExit) as error:
        raise DataError(f"{path}: fails with {type(error).__name__}: {error}.") from error
    if not isinstance(components, dict) or not all(isinstance(found, dict) for found in components.values()):
        raise DataError(f"{path}: COMPONENTS: must be a mapping of kinds to mappings of names to components.")
    for kind, found in components.items():
        if kind not in _BUILTIN:
            raise DataError(f"{path}: COMPONENTS: unknown kind '{kind}'; {nearest(str(kind), _BUILTIN)}")
        taken = sorted(_BUILTIN[kind].keys() & found.keys())
        if taken:
            raise DataError(f"{path}: COMPONENTS: the {kind} '{taken[0]}' is built in; choose another name.")
        _TRUSTED[kind].update(found)


# --------------------------------------------------------------------------- shipped files


@cache
def shipped(folder: Literal["tasks", "prompts", "leaderboards"]) -> Path:
    """Where the shipped YAML and templates lie: inside the wheel, or at the top of a clone.

    Raises:
        ServiceError: neither is there (a broken installation).
    """
    package = Path(__file__).parent
    for place in (package / "_shipped" / folder, package.parent / folder):
        if place.is_dir():
            return place
    raise ServiceError(f"the folder '{folder}' is missing beside {package}; reinstall evalharness.")


def task_files(include: Iterable[Path] = ()) -> dict[str, Path]:
    """Name of every task and suite to its YAML file; the file's stem is the name.

    A user's folders (`include`) come last and must not take a shipped name.

    Raises:
        UsageError: a folder to include does not exist.
        DataError: two files have one name.
    """
    found: dict[str, Path] = {}
    for folder in [shipped("tasks"), *_plugin_task_folders(), *include]:
        if not folder.is_dir():
            raise UsageError(f"--include {folder}: no such folder; give a folder that holds task YAML files.")
        for path in sorted(folder.rglob("*.y*ml")):
            if path.suffix not in (".yaml", ".yml") or path.name.startswith("_"):
                continue
            if path.stem in found:
                raise DataError(f"{path}: the name '{path.stem}' is taken by {found[path.stem]}; rename one of them.")
            found[path.stem] = path
    return found


def _plugin_task_folders() -> list[Path]:
    folders = []
    for point in metadata.entry_points(group="evalharness.tasks"):
        spec = util.find_spec(point.value)
        for place in (spec.submodule_search_locations or []) if spec else []:
            folders.append(Path(place) / "tasks")
    return folders
