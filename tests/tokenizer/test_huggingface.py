"""`tokenizer.json`, read by Hugging Face's library."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFaceTokenizer

from tinylm.tokenizer import train_bpe
from tinylm.tokenizer.pretokenize import PATTERNS

SPECIALS = ["<|endoftext|>", "<|endoftext|><|endoftext|>", "<|im end|>"]
SAMPLE = (
    "Once upon a time, she'll say: DON'T! 3.14159 süß 天地玄黄，宇宙洪荒。 กาล 👩\u200d👧 e\u0301\t\tx\r\n\n\n    y  \n"
)
TRICKY = "aAéß字กา’'sStT0192 \t\n\r\u00a0\u3000\u0301\u200d-_/.!😀"
PARTS = st.one_of(st.text(TRICKY), st.text(), st.sampled_from([*SPECIALS, *SAMPLE.split(" ")]))


@pytest.mark.parametrize("pattern", [*PATTERNS, r"\p{L}+|\p{N}"])
def test_the_same_ids_in_tokenizers(pattern: str, tmp_path: Path) -> None:
    """What `save` writes encodes and decodes any text alike, special tokens included, in Hugging Face's library."""
    (tmp_path / "sample.txt").write_text(SAMPLE * 3, encoding="utf-8")
    ours = train_bpe(tmp_path / "sample.txt", 400, SPECIALS, pattern=pattern)
    ours.save(tmp_path / "t")
    theirs = HuggingFaceTokenizer.from_file(str(tmp_path / "t/tokenizer.json"))

    @given(st.lists(PARTS).map("".join))
    def same(text: str) -> None:
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids
        assert theirs.decode(ids, skip_special_tokens=False) == text

    same()
    assert theirs.get_vocab_size() == len(ours.vocab)
