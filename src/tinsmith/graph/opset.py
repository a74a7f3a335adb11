"""Every model to ONNX opset 24, verified."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from tinsmith.errors import ModelError
from tinsmith.graph.definitions import expand
from tinsmith.graph.edit import constant, input_of, set_attributes, swap
from tinsmith.graph.float32 import to_float32
from tinsmith.graph.quiet import captured

OPSET = 24
"""The version all later stages speak: the newest with Swish that ONNX Runtime runs."""
IR_VERSION = 10
"""Version of the file format: any that ONNX Runtime reads, nothing here needs a newer one."""
_BATCHED_SCANS = 8
"""The only version in which Scan has a batch dimension."""


def to_opset(model: ir.Model) -> ir.Model:
    """Converts a model to `OPSET`.

    Args:
        model: The model with static input shapes; changed in place.

    Returns:
        The model, or its replacement.

    Raises:
        ModelError: The conversion is not possible; names the operator where it is known.
    """
    version = model.opset_imports.pop("ai.onnx", None) or model.opset_imports.get("")
    if version is None:
        raise ModelError("the file does not say which ONNX opset it uses.", subject=model.graph.name or "")
    model.opset_imports[""] = version
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= version <= newest:
        raise ModelError(
            f"the model uses ONNX opset {version}; 1 to {newest} are known here.",
            subject=model.graph.name or "",
            hint=f"Export it with opset {OPSET}, or install a newer onnx package.",
        )
    _drop_training(model.graph, version)
    if version > OPSET:
        _relabel(model, version)
    elif version < OPSET:
        _convert(model, version)
    model.ir_version = IR_VERSION
    for node in model.graph.all_nodes():
        node.version = None
    return model


def _convert(model: ir.Model, version: int) -> None:
    from onnxscript import version_converter

    if version == _BATCHED_SCANS:
        _refuse_scans(model.graph)
    with captured() as messages:
        # Some conversions depend on shapes (Softmax before 13).
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(model)
        messages.clear()
        resizes = [(node.name, node.outputs[0].name) for node in model.graph if node.op_type in ("Upsample", "Resize")]
        names = [value.name for value in model.graph.inputs], [value.name for value in model.graph.outputs]
        try:
            version_converter.convert_version(model, OPSET, fallback=True)
        except Exception as error:
            messages.append(str(error))
    skipped = [message for message in messages if "Skipping" in message]
    if model.opset_imports.get("") != OPSET or skipped:
        reason = next((line for line in reversed(messages) if "convert" in line or "Skipping" in line), "")
        raise ModelError(
            f"the model cannot be converted from ONNX opset {version} to {OPSET}: {_first_line(reason)}",
            subject=model.graph.name or "",
            hint=f"Export it with opset 18 or newer (opset_version={OPSET} where the exporter has it).",
        )
    if names != ([value.name for value in model.graph.inputs], [value.name for value in model.graph.outputs]):
        raise ModelError(f"the conversion from ONNX opset {version} lost inputs or outputs.")
    if version < 11:
        _restore_resizes(model.graph, resizes)


def _refuse_scans(graph: ir.Graph) -> None:
    """The converter takes a Scan with a batch for one without."""
    for node in graph.all_nodes():
        if node.op_type == "Scan":
            raise ModelError(
                f"Scan of ONNX opset {_BATCHED_SCANS} runs over a batch of sequences.",
                subject=repr(node.name),
                hint=f"Export the model with opset {_BATCHED_SCANS + 1} or newer.",
            )


def _restore_resizes(graph: ir.Graph, old: Sequence[tuple[str | None, str | None]]) -> None:
    """Repairs resizes from before opset 11: the converter renames them, and forgets what their modes, then fixed, were.

    Args:
        graph: The converted graph.
        old: Names of the Upsample and Resize nodes and of their results before the conversion, in the same order.
    """
    resizes = [node for node in graph if node.op_type == "Resize"]
    for node, (name, output) in zip(resizes, old, strict=True):
        node.name = name
        if not node.outputs[0].is_graph_output():
            node.outputs[0].name = output
        scales = constant(input_of(node, 2))
        shrinks = scales is not None and scales.size and scales.max() <= 1 and scales.min() < 1
        modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil" if shrinks else "floor"}
        set_attributes(node, modes)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason given."


def _relabel(model: ir.Model, version: int) -> None:
    """Takes a newer model for one of opset 24 where all its operators are the same but for further element types.

    Those that are not are replaced by ONNX's own definition of them, where that is made of operators that are.
    """
    newer = [node for node in model.graph.all_nodes() if not means_the_same(node, version)]
    for node in expand(model, newer, means_the_same):
        raise ModelError(
            f"{node.op_type} of ONNX opset {version} is not what it was in opset {OPSET}."
            if _schema(node.op_type, OPSET)
            else f"{node.op_type} is younger than ONNX opset {OPSET}, and not made of operators known there.",
            subject=repr(node.name),
            hint=f"Export the model with opset {OPSET}.",
        )
    to_float32(model.graph)  # definitions compute in other precisions
    for node in model.graph.all_nodes():
        old = _schema(node.op_type, OPSET)
        for name in [name for name in node.attributes if old is None or name not in old.attributes]:
            node.attributes.pop(name)
    model.opset_imports[""] = OPSET


def means_the_same(node: ir.Node, version: int) -> bool:
    """Whether a node of another opset means the same in `OPSET`."""
    schemas = _schema(node.op_type, version), _schema(node.op_type, OPSET)
    new, old = schemas if version > OPSET else schemas[::-1]
    return new is not None and old is not None and _is_old(node, new, old)


def _schema(op_type: str, version: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(op_type, max_inclusive_version=version)
    except onnx.defs.SchemaError:
        return None


def _is_old(node: ir.Node, new: onnx.defs.OpSchema, old: onnx.defs.OpSchema) -> bool:
    """Whether a node means the same by both definitions: it leaves what is new in the newer one to its default."""
    ports = [(port.name, port.option) for side in ("inputs", "outputs") for port in getattr(old, side)]
    same = ports == [(port.name, port.option) for side in ("inputs", "outputs") for port in getattr(new, side)]
    return same and all(
        _default(new, name) == _default(old, name) if name in old.attributes else _is_default(node, new, name)
        for name in {*old.attributes, *new.attributes}
    )


def _default(schema: onnx.defs.OpSchema, name: str) -> object:
    attribute = schema.attributes.get(name)
    return attribute and (attribute.type, attribute.required, attribute.default_value.SerializeToString())


def _is_default(node: ir.Node, schema: onnx.defs.OpSchema, name: str) -> bool:
    given = node.attributes.get(name)
    if given is None:
        return not schema.attributes[name].required
    default = onnx.helper.get_attribute_value(schema.attributes[name].default_value)
    return bool(given.value == (default.decode() if isinstance(default, bytes) else default))


def _drop_training(graph: ir.Graph, version: int) -> None:
    """Removes Dropout, and training outputs and switches of BatchNormalization, which block the conversion."""
    for node in tuple(graph):
        if node.op_type == "Dropout" and not _used(node, 1):
            node.resize_outputs(1)
            swap(node, "Identity", node.inputs[:1])
        elif node.op_type == "BatchNormalization" and not any(_used(node, index) for index in range(1, 5)):
            node.resize_outputs(1)
            if version < 7:
                node.attributes.add(ir.AttrInt64("is_test", 1))


def _used(node: ir.Node, index: int) -> bool:
    if index >= len(node.outputs):
        return False
    value = node.outputs[index]
    return bool(value.uses()) or value.is_graph_output()
