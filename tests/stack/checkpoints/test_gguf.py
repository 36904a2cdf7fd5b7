import gguf
import numpy as np
import pytest

from evalharness.stack.checkpoints.gguf import GGUFFile
from evalharness.stack.errors import CheckpointError


@pytest.fixture
def small(tmp_path):
    """A file by the format's own writer, with a value of every type."""
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint8("a.u8", 200)
    writer.add_int8("a.i8", -3)
    writer.add_uint16("a.u16", 60_000)
    writer.add_int16("a.i16", -30_000)
    writer.add_uint32("a.u32", 4_000_000_000)
    writer.add_int32("a.i32", -5)
    writer.add_uint64("a.u64", 1 << 60)
    writer.add_int64("a.i64", -(1 << 60))
    writer.add_float32("a.f32", 0.5)
    writer.add_float64("a.f64", 0.1)
    writer.add_bool("a.bool", True)
    writer.add_string("a.text", "déjà vu 🙂")
    writer.add_array("a.texts", ["", "x", "ß"])
    writer.add_array("a.numbers", [1, 2, 3])
    writer.add_array("a.floats", [0.5, 0.25])
    writer.add_tensor("first", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("second", np.arange(4, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_every_type_of_value_and_the_tensors_are_read(small):
    file = GGUFFile(small)
    assert {key: value for key, value in file.metadata.items() if key.startswith("a.")} == {
        "a.u8": 200,
        "a.i8": -3,
        "a.u16": 60_000,
        "a.i16": -30_000,
        "a.u32": 4_000_000_000,
        "a.i32": -5,
        "a.u64": 1 << 60,
        "a.i64": -(1 << 60),
        "a.f32": 0.5,
        "a.f64": 0.1,
        "a.bool": True,
        "a.text": "déjà vu 🙂",
        "a.texts": ["", "x", "ß"],
        "a.numbers": [1, 2, 3],
        "a.floats": [0.5, 0.25],
    }
    assert file.tensors["first"].shape == (2, 3)
    np.testing.assert_array_equal(file.raw("first").view(np.float32), np.arange(6))
    np.testing.assert_array_equal(file.raw("second").view(np.float16), np.arange(4))


def test_a_file_cut_anywhere_is_one_sentence(small, tmp_path):
    whole = small.read_bytes()
    path = tmp_path / "cut.gguf"
    # The writer pads after the last tensor; what is cut there is not missed.
    needed = max(entry.begin + entry.size for entry in GGUFFile(small).tensors.values())
    for length in range(4, needed):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.gguf is cut off: .*fetch the file again\.$"):
            GGUFFile(path)
    path.write_bytes(whole[:needed])
    GGUFFile(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 something else", b"GGU"])
def test_another_kind_of_file_is_refused(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a GGUF file: it begins with"):
        GGUFFile(path)


def test_version_1_is_refused(small):
    data = bytearray(small.read_bytes())
    data[4] = 1
    small.write_bytes(data)
    with pytest.raises(CheckpointError, match="GGUF of version 1; versions 2 and 3"):
        GGUFFile(small)


def test_a_value_of_no_type_is_damage(small):
    data = bytearray(small.read_bytes())
    data[data.index(b"a.u8") + 4] = 77
    small.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"is damaged: its header has a value of the type 77"):
        GGUFFile(small)


def test_an_unknown_quantisation_is_named(tmp_path):
    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    packed = np.zeros((1, 66), dtype=np.uint8)
    writer.add_tensor("weights", packed, raw_dtype=gguf.GGMLQuantizationType.IQ2_XXS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match="'weights' has the quantisation type 16; known: F32"):
        GGUFFile(path)


def test_what_is_missing_is_named(small):
    file = GGUFFile(small)
    with pytest.raises(CheckpointError, match="lacks the tensor 'third'"):
        file.raw("third")
    with pytest.raises(CheckpointError, match=r"lacks the metadata key 'b\.c'"):
        file.require("b.c")


@pytest.mark.model
def test_the_embedded_model_reads_as_the_reference_reads_it(smollm2):
    file, reference = GGUFFile(smollm2), gguf.GGUFReader(smollm2)
    assert len(file.tensors) == 272
    for tensor in reference.tensors:
        entry = file.tensors[tensor.name]
        assert entry.shape == tuple(int(size) for size in reversed(tensor.shape))
        assert (entry.block.name, entry.begin) == (tensor.tensor_type.name, tensor.data_offset)
    assert file.metadata["tokenizer.ggml.merges"][-1] == reference.fields["tokenizer.ggml.merges"].contents()[-1]
