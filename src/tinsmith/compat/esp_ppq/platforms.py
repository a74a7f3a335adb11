"""Chips and widths as esp-ppq's platforms, and back."""

from __future__ import annotations

from tinsmith.compat.esp_ppq.core.quant import TargetPlatform
from tinsmith.errors import RecipeError
from tinsmith.targets import Target, find

_FAMILIES: dict[str, dict[int, TargetPlatform]] = {
    "pie-v2": {8: TargetPlatform.ESPDL_INT8, 16: TargetPlatform.ESPDL_INT16},
    "pie-v1": {8: TargetPlatform.ESPDL_S3_INT8, 16: TargetPlatform.ESPDL_S3_INT16},
    "generic-c": {8: TargetPlatform.ESPDL_C_INT8, 16: TargetPlatform.ESPDL_C_INT16},
}
_PRECISE = {
    TargetPlatform.ESPDL_H_PRE_INT16: TargetPlatform.ESPDL_INT16,
    TargetPlatform.ESPDL_S3_H_PRE_INT16: TargetPlatform.ESPDL_S3_INT16,
    TargetPlatform.ESPDL_C_H_PRE_INT16: TargetPlatform.ESPDL_C_INT16,
}
_MIXED = (TargetPlatform.ESPDL_W8A16, TargetPlatform.ESPDL_S3_W8A16, TargetPlatform.ESPDL_C_W8A16)
_USUAL = {"pie-v2": "esp32p4", "pie-v1": "esp32s3", "generic-c": "c"}
_WITHOUT = (TargetPlatform.UNSPECIFIED, TargetPlatform.SOI, TargetPlatform.BOUNDARY)


def platform_of(target: Target, bits: int) -> TargetPlatform:
    """The platform of a chip and a width: 8, 16, or 32 for float."""
    return TargetPlatform.FP32 if bits == 32 else _FAMILIES[target.family][bits]


def target_of(platform: TargetPlatform | int) -> tuple[Target, int]:
    """The chip that a platform stands for, the usual one of its family, and the width.

    Raises:
        RecipeError: It is none of ESP-DL's.
    """
    given = known(platform)
    for family, widths in _FAMILIES.items():
        for bits, candidate in widths.items():
            if candidate is _PRECISE.get(given, given):
                return find(_USUAL[family]), bits
    raise refused(given)


def bits_of(platform: TargetPlatform | int, subject: str) -> int | None:
    """The width a platform asks for; None where it asks for nothing.

    Raises:
        RecipeError: Float, 8-bit weights with 16-bit activations, or a platform that is none of ESP-DL's.
    """
    given = known(platform, subject)
    return None if given in _WITHOUT else _width(given, subject)


def _width(given: TargetPlatform, subject: str) -> int:
    try:
        return target_of(given)[1]
    except RecipeError as error:
        raise RecipeError(error.reason, subject=subject, hint=error.hint) from None


def known(platform: TargetPlatform | int, subject: str = "platform") -> TargetPlatform:
    """The platform of a number.

    Raises:
        RecipeError: There is none.
    """
    try:
        return TargetPlatform(platform)
    except ValueError:
        hint = "Use get_target_platform(target, 8) or get_target_platform(target, 16)."
        raise RecipeError(f"there is no platform {platform!r}.", subject=subject, hint=hint) from None


def refused(platform: TargetPlatform, subject: str = "platform") -> RecipeError:
    """Why a platform cannot be had."""
    if platform in _MIXED:
        reason = f"{platform.name}: ESP-DL has no kernels for 8-bit weights with 16-bit activations (w8a16)."
        return RecipeError(reason, subject=subject, hint="Use 16 bits for both: get_target_platform(target, 16).")
    if platform is TargetPlatform.FP32:
        reason = "FP32: layers run in int8 or int16, and in float only where the chip has no integer kernel."
        return RecipeError(reason, subject=subject, hint="Use 16 bits: get_target_platform(target, 16).")
    names = ", ".join(p.name for widths in _FAMILIES.values() for p in widths.values())
    return RecipeError(f"{platform.name} is no platform of ESP-DL.", subject=subject, hint=f"Those are {names}.")
