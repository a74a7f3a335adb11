"""The tables of ``schema/espdl.fbs`` as the reader needs them, and the limits a file must keep to be believed.

A table is its field names in the order of their ids; a union takes two ids, its type (``…_type``) and its value. A test
holds this file equal to the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from tinsmith.program import DType

Fields = Mapping[str, int]


def _fields(names: str) -> Fields:
    return MappingProxyType({name: index for index, name in enumerate(names.split())})


MODEL = _fields(
    "ir_version opset_import producer_name producer_version domain model_version doc_string graph metadata_props "
    "functions"
)
GRAPH = _fields(
    "node name initializer doc_string input output value_info quantization_annotation test_inputs_value "
    "test_outputs_value"
)
NODE = _fields("input output name op_type domain attribute doc_string")
ATTRIBUTE = _fields(
    "name ref_attr_name doc_string attr_type f i s t g tp floats ints strings tensors graphs type_protos"
)
TENSOR = _fields(
    "dims data_type float_data int32_data string_data int64_data name doc_string raw_data external_data data_location "
    "double_data uint64_data exponents"
)
VALUE_INFO = _fields("name value_info_type doc_string exponents")
TYPE_INFO = _fields("value_type value denotation")
TENSOR_TYPE = _fields("elem_type shape")
TENSOR_SHAPE = _fields("dim")
DIMENSION = _fields("value denotation")
DIMENSION_VALUE = _fields("dim_type dim_value dim_param")
STRING_STRING_ENTRY = _fields("key value")
OPERATOR_SET_ID = _fields("domain version")
FUNCTION = _fields("name input output attribute attribute_proto node doc_string opset_import domain")


class AttributeType(IntEnum):
    """Which of an attribute's fields holds its value."""

    UNDEFINED = 0
    FLOAT = 1
    INT = 2
    STRING = 3
    TENSOR = 4
    GRAPH = 5
    FLOATS = 6
    INTS = 7
    STRINGS = 8
    TENSORS = 9
    GRAPHS = 10
    TYPE_FBS = 11
    TYPE_FBSS = 12


class DimensionKind(IntEnum):
    """Whether a dimension is a number (``DimensionValueType``)."""

    UNKNOWN = 0
    VALUE = 1
    PARAM = 2


class TypeKind(IntEnum):
    """What a value is (the type of the union ``TypeInfoValue``)."""

    NONE = 0
    TENSOR = 1
    SEQUENCE = 2
    MAP = 3
    OPTIONAL = 4


LARGEST_DIMENSION = (1 << 31) - 1
LARGEST_RANK = 32  # numpy's
LARGEST_EXPONENT = 1023  # 2**exponent stays a double
UNREADABLE = frozenset({DType.UNDEFINED, DType.STRING})
"""Element types of constants that no kernel reads."""

_SMALL = (DType.UINT8, DType.INT8, DType.UINT16, DType.INT16, DType.INT32, DType.BOOL, DType.FLOAT16)
TYPED_FIELDS: Mapping[DType, tuple[str, str]] = {
    DType.FLOAT: ("float_data", "<f4"),
    DType.DOUBLE: ("double_data", "<f8"),
    DType.INT64: ("int64_data", "<i8"),
    DType.UINT32: ("uint64_data", "<u8"),
    DType.UINT64: ("uint64_data", "<u8"),
    **dict.fromkeys(_SMALL, ("int32_data", "<i4")),
}
"""Where tensors keep elements that are not in raw_data (as in ONNX): the field and its element type."""
