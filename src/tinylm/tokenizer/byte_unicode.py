"""GPT-2's way to write bytes as visible characters: `Ġ` is a space, `Ċ` a line end, `é` the byte 0xE9."""

from itertools import count


def byte_to_unicode() -> dict[int, str]:
    """Each byte's character: its own where that is printable and not a space, else the next from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    substitutes = count(256)
    return {byte: chr(byte if byte in printable else next(substitutes)) for byte in range(256)}


TO_UNICODE = byte_to_unicode()
FROM_UNICODE = {character: byte for byte, character in TO_UNICODE.items()}


def to_text(token: bytes) -> str:
    """`b" the"` -> `"Ġthe"`."""
    return "".join(TO_UNICODE[byte] for byte in token)


def to_bytes(text: str) -> bytes:
    """`"Ġthe"` -> `b" the"`. Raises: KeyError for a character that stands for no byte."""
    return bytes(FROM_UNICODE[character] for character in text)
