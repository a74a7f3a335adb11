"""Operators that no chip runs and no rewrite removes: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

_PICKS = (
    "Nothing on the chip picks places by their values: end the model before it (`outputs=` or `--outputs` with the "
    "name of its input), and pick on the processor."
)
_SHAPES = "Give the shapes as constants: what they depend on is known at run time only."
_INDICES = "Give the indices as constants: what they depend on is known at run time only."
_INTEGERS = "The chips compute with quantized real numbers: work on whole ones before or after the model."
_CONDITION = "Give the condition as a constant, or compare numbers inside the model."
_PARAMETERS = "Give its scale and bias, one number per channel."
_FREQUENCIES = "Compute frequencies on the processor (ESP-DSP has transforms), and feed the model the result."
_RANDOM = "Export the model for inference, or make the random numbers an input."
_NUMBERS = "Quantized values are always numbers: remove the check."

_WAYS_OUT: Mapping[str, str] = {
    **dict.fromkeys(("ArgMax", "ArgMin", "Hardmax", "TopK", "NonMaxSuppression", "NonZero", "Unique"), _PICKS),
    **dict.fromkeys(("GatherElements", "GatherND", "OneHot", "ScatterElements", "Trilu"), _INDICES),
    **dict.fromkeys(("Expand", "Tile", "ConstantOfShape", "Range"), _SHAPES),
    **dict.fromkeys(("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Max", "Min"), _INTEGERS),
    **dict.fromkeys(("And", "Not", "Or", "Where", "Xor"), _CONDITION),
    **dict.fromkeys(("IsInf", "IsNaN"), _NUMBERS),
    **dict.fromkeys(("DFT", "STFT", "MelWeightMatrix"), _FREQUENCIES),
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"), _RANDOM
    ),
    **dict.fromkeys(("BatchNormalization", "GroupNormalization", "InstanceNormalization"), _PARAMETERS),
    "Cast": "Keep values in float32 in the model; the chip's integers are chosen here.",
    "CumSum": "Up to 512 steps along a constant axis become a MatMul: shorten the axis, or sum on the processor.",
    "MaxUnpool": "The places of maxima are not kept: upsample with a Resize or a ConvTranspose.",
}


def reason(op_type: str) -> str:
    """Why the runtime cannot run an operator that it lacks, and the way out."""
    way_out = _WAYS_OUT.get(op_type, "Replace it in the model, or end the model before it (`outputs=`, `--outputs`).")
    return f"the runtime has no such operator. {way_out}"


def known() -> frozenset[str]:
    """The operators with a way out of their own."""
    return frozenset(_WAYS_OUT)
