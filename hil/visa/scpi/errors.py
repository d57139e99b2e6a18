"""SCPI-99 error numbers and the exception that carries one to the error queue."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDARD_ERRORS: Mapping[int, str] = MappingProxyType(
    {
        0: "No error",
        -100: "Command error",
        -101: "Invalid character",
        -102: "Syntax error",
        -103: "Invalid separator",
        -104: "Data type error",
        -108: "Parameter not allowed",
        -109: "Missing parameter",
        -110: "Command header error",
        -111: "Header separator error",
        -112: "Program mnemonic too long",
        -113: "Undefined header",
        -114: "Header suffix out of range",
        -120: "Numeric data error",
        -121: "Invalid character in number",
        -123: "Exponent too large",
        -124: "Too many digits",
        -128: "Numeric data not allowed",
        -131: "Invalid suffix",
        -134: "Suffix too long",
        -138: "Suffix not allowed",
        -141: "Invalid character data",
        -144: "Character data too long",
        -148: "Character data not allowed",
        -151: "Invalid string data",
        -158: "String data not allowed",
        -161: "Invalid block data",
        -168: "Block data not allowed",
        -171: "Invalid expression",
        -178: "Expression data not allowed",
        -200: "Execution error",
        -203: "Command protected",
        -211: "Trigger ignored",
        -213: "Init ignored",
        -221: "Settings conflict",
        -222: "Data out of range",
        -223: "Too much data",
        -224: "Illegal parameter value",
        -226: "Lists not same length",
        -241: "Hardware missing",
        -256: "File name not found",
        -257: "File name error",
        -300: "Device-specific error",
        -310: "System error",
        -350: "Queue overflow",
        -410: "Query INTERRUPTED",
        -420: "Query UNTERMINATED",
        -430: "Query DEADLOCKED",
        -440: "Query UNTERMINATED after indefinite response",
    }
)
"""Number to text, as SCPI-99 volume 2, chapter 21.8, words them."""


class ScpiError(Exception):
    """An error an instrument reports in its queue, not one of the harness.

    Args:
        number: the standard number; its text comes from :data:`STANDARD_ERRORS`.
        detail: what the instrument found, appended after a semicolon.
    """

    def __init__(self, number: int, detail: str = "") -> None:
        super().__init__(number, detail)
        self.number = number
        self.detail = detail

    @property
    def is_command_error(self) -> bool:
        """Whether the message itself was wrong (-1xx), so that the rest of it is not executed."""
        return -200 < self.number <= -100

    @property
    def entry(self) -> str:
        """The queue entry, for example ``-113,"Undefined header;FOO"``; at most 255 characters of text."""
        text = STANDARD_ERRORS.get(self.number, "Device-specific error")
        if self.detail:
            text = f"{text};{self.detail}"
        quoted = text[:255].replace('"', "'")
        return f'{self.number:+d},"{quoted}"'
