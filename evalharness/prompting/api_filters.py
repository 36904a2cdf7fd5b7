"""A filter for APIBench: the words in which Gorilla asks for a call of an API, and the survey's variation of them.

The words are those of Gorilla's ``eval/get_llm_responses.py`` (Patil et al. 2023, arXiv:2305.15334; its repository at
commit 6ea57973c7a6) and of LLMSurvey's ``Gorilla/eval/utils.py`` (Zhao et al. 2023, arXiv:2303.18223).
"""

from __future__ import annotations

import json
import re
from typing import Literal

Library = Literal["torchhub", "tensorflow", "huggingface"]
Words = Literal["plain", "gorilla", "survey"]

_QUESTION = re.compile(r"###\s*Instruction:?(?P<question>.*?)(?:###\s*Output|<<<domain>>>|\Z)", re.DOTALL)
_NAMES: dict[Library, str] = {"torchhub": "torchhub", "tensorflow": "tensorhub", "huggingface": "huggingface"}
_INFERRED = "$DOMAIN is inferred from the task description and should include one of"
# Gorilla's list is one string over several lines of source, whose indentation is part of it.
_GAP = " " * 9
_DOMAINS: dict[Library, str] = {
    "torchhub": f"{_INFERRED} {{Classification, Semantic Segmentation, Object Detection, Audio Separation, "
    "Video Classification, Text-to-Speech}.",
    "tensorflow": f"{_INFERRED} {{text-sequence-alignment, text-embedding, text-language-model, text-preprocessing, "
    "text-classification, text-generation, text-question-answering, text-retrieval-question-answering, "
    "text-segmentation, text-to-mel, image-classification, image-feature-vector, image-object-detection, "
    "image-segmentation, image-generator, image-pose-detection, image-rnn-agent, image-augmentation, "
    "image-classifier, image-style-transfer, image-aesthetic-quality, image-depth-estimation, "
    "image-super-resolution, image-deblurring, image-extrapolation, image-text-recognition, image-dehazing, "
    "image-deraining, image-enhancemenmt, image-classification-logits, image-frame-interpolation, "
    "image-text-detection, image-denoising, image-others, video-classification, video-feature-extraction, "
    "video-generation, video-audio-text, video-text, audio-embedding, audio-event-classification, "
    "audio-command-detection, audio-paralinguists-classification, audio-speech-to-text, audio-speech-synthesis, "
    "audio-synthesis, audio-pitch-extraction}",
    "huggingface": "$DOMAIN should include one of {Multimodal Feature Extraction, Multimodal Text-to-Image, "
    f"Multimodal Image-to-Text, Multimodal Text-to-Video,{_GAP}"
    "Multimodal Visual Question Answering, Multimodal Document Question Answer, Multimodal Graph Machine Learning, "
    f"Computer Vision Depth Estimation,{_GAP[:-1]}"
    "Computer Vision Image Classification, Computer Vision Object Detection, Computer Vision Image Segmentation, "
    f"Computer Vision Image-to-Image,{_GAP}"
    "Computer Vision Unconditional Image Generation, Computer Vision Video Classification, "
    f"Computer Vision Zero-Shor Image Classification,{_GAP}"
    "Natural Language Processing Text Classification, Natural Language Processing Token Classification, "
    f"Natural Language Processing Table Question Answering,{_GAP}"
    "Natural Language Processing Question Answering, Natural Language Processing Zero-Shot Classification, "
    f"Natural Language Processing Translation,{_GAP}"
    "Natural Language Processing Summarization, Natural Language Processing Conversational, "
    f"Natural Language Processing Text Generation, Natural Language Processing Fill-Mask,{_GAP[:-1]}"
    "Natural Language Processing Text2Text Generation, Natural Language Processing Sentence Similarity, "
    f"Audio Text-to-Speech, Audio Automatic Speech Recognition,{_GAP}"
    "Audio Audio-to-Audio, Audio Audio Classification, Audio Voice Activity Detection, "
    f"Tabular Tabular Classification, Tabular Tabular Regression,{_GAP}"
    "Reinforcement Learning Reinforcement Learning, Reinforcement Learning Robotics }",
}
_GORILLA_FORMAT = (
    "<<<domain>>> $DOMAIN, <<<api_call>>>: $API_CALL, <<<api_provider>>>: $API_PROVIDER, "
    "<<<explanation>>>: $EXPLANATION, <<<code>>>: $CODE}."
)
_SURVEY_FORMAT = (
    "<<<DOMAIN>>>: $DOMAIN, <<<API_CALL>>>: $API_CALL, <<<API_PROVIDER>>>: $API_PROVIDER, "
    "<<<EXPLANATION>>>: $EXPLANATION, <<<CODE>>>: $CODE."
)


def apibench_request(code: str, library: Library, words: Words = "plain") -> str:
    """What the user asks: the question in a row's column `code`, and what the answer must look like.

    Args:
        words: Gorilla's, with the question as it is (plain) or as its published files have it (gorilla: escaped as in
            JSON, so that a backslash and an n end it); or those of the survey.
    """
    question = apibench_question(code) if words == "plain" else _published(code)
    return (
        f"{question}\nWrite a python program in 1 to 2 lines to call API in {_NAMES[library]}.\n\n"
        f"The answer should follow the format: {_SURVEY_FORMAT if words == 'survey' else _GORILLA_FORMAT} "
        f"Here are the requirements:\n1. {_DOMAINS[library]}\n"
        "2. The $API_CALL should have only 1 line of code that calls api.\n"
        "3. The $API_PROVIDER should be the programming framework used.\n"
        "4. $EXPLANATION should be a step-by-step explanation.\n"
        "5. The $CODE is the python code.\n"
        "6. Do not repeat the format in your answer."
    )


def apibench_question(code: str) -> str:
    """The question in the column `code`, which holds it before the answer that the paper's model was trained on."""
    found = _QUESTION.search(code)
    return (found["question"] if found else code).strip()


def _published(code: str) -> str:
    """The question as in ``eval-data/questions``."""
    found = _QUESTION.search(code)
    return json.dumps(re.sub(r"\n+", "\n", found["question"] if found else code))[1:-1]
