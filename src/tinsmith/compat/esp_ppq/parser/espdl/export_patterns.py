"""The steps of esp-ppq's exporter, of which the tables can be looked at."""

from tinsmith.compat.esp_ppq.stand_ins import LOWERING, names

_HOMES = {
    "AddLUTPattern": "parser.espdl.tables",
    "EspQuantType": "parser.espdl.espdl_typedef",
    "ExporterPatternInfo": "parser.espdl.espdl_typedef",
    "LayoutAnnotation": "parser.espdl.espdl_typedef",
    "GRU_QUANT_EXPONENT": "parser.espdl.tables",
    "LSTM_QUANT_EXPONENT": "parser.espdl.tables",
}
_ABSENT = {
    LOWERING: (
        "EspdlQuantHelper",
        "FuseReluLikePattern",
        "InsertDequantNodePattern",
        "InsertPreNodeOfMatMulPattern",
        "InsertQuantNodePattern",
        "InsertQuantTypePattern",
        "InsertRequantNodePattern",
        "QuantRNNPattern",
        "QuantVariableToIntPattern",
        "ResetParamLayoutPattern",
        "fuse_downstream_operation",
        "insert_concat_node",
        "insert_dequantize_node",
        "insert_quantize_node",
        "insert_requantize_node",
        "insert_reshape_node",
        "insert_slice_node",
        "insert_transpose_node",
    )
}

__getattr__, __all__ = names(__name__, _HOMES, _ABSENT)
