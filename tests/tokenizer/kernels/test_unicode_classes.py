"""Classes of characters."""

import regex

from tinylm.tokenizer.kernels.unicode_classes import DIGIT, LETTER, NUM_CODE_POINTS, OTHER, WHITE, class_table


def test_every_code_point_has_the_class_that_regex_gives_it() -> None:
    """Letters, digits, white space and others are those of the `regex` package, in all planes of Unicode."""
    table = class_table()
    code_points = [*range(0xD800), *range(0xE000, NUM_CODE_POINTS)]
    text = "".join(map(chr, code_points))
    for kind, pattern in ((LETTER, r"\p{L}"), (DIGIT, r"\p{N}"), (WHITE, r"\s"), (OTHER, r"[^\s\p{L}\p{N}]")):
        assert "".join(regex.findall(pattern, text)) == "".join(chr(i) for i in code_points if table[i] == kind)
