"""How PyTorch's messages spell element types."""

from __future__ import annotations

from codegen.dtype import DType

_TYPE_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16",
    "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "bool_": "Bool", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
    "complex32": "ComplexHalf", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
    "qint8": "QInt8", "quint8": "QUInt8", "qint32": "QInt32",
}  # fmt: skip
_C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "uint8": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int",
    "int64": "long int", "bool_": "bool", "uint16": "unsigned short", "uint32": "unsigned int",
    "uint64": "unsigned long", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}  # fmt: skip


def type_name(dtype: DType) -> str:
    """The scalar type's name: Float, Long, …"""
    return _TYPE_NAMES.get(dtype.name) or dtype.name.capitalize()


def c_name(dtype: DType) -> str:
    """The C++ type's name, as some messages have it."""
    return _C_NAMES[dtype.name]
