#include "core/base/dtype.h"

#include <array>

#include "core/base/error.h"
#include "core/base/tensor.h"

namespace headrace {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::string_view alias;
  std::size_t size;
  bool floating, complex, integer, plain;
};

constexpr std::array kRows = {
    Row{DType::float32, "float32", "float", 4, true, false, false, true},
    Row{DType::float64, "float64", "double", 8, true, false, false, true},
    Row{DType::float16, "float16", "half", 2, true, false, false, true},
    Row{DType::bfloat16, "bfloat16", "bfloat16", 2, true, false, false, true},
    Row{DType::int8, "int8", "int8", 1, false, false, true, true},
    Row{DType::int16, "int16", "int16", 2, false, false, true, true},
    Row{DType::int32, "int32", "int32", 4, false, false, true, true},
    Row{DType::int64, "int64", "int64", 8, false, false, true, true},
    Row{DType::uint8, "uint8", "uint8", 1, false, false, true, true},
    Row{DType::uint16, "uint16", "uint16", 2, false, false, true, true},
    Row{DType::uint32, "uint32", "uint32", 4, false, false, true, true},
    Row{DType::uint64, "uint64", "uint64", 8, false, false, true, true},
    Row{DType::boolean, "bool", "boolean", 1, false, false, false, true},
    Row{DType::complex64, "complex64", "complex64", 8, false, true, false, true},
    Row{DType::complex128, "complex128", "complex128", 16, false, true, false, true},
    Row{DType::string, "string", "string", sizeof(std::string), false, false, false, false},
    Row{DType::resource, "resource", "resource", sizeof(ResourceRef), false, false, false, false},
    Row{DType::variant, "variant", "variant", sizeof(VariantRef), false, false, false, false},
};

constexpr auto kDTypes = [] {
  std::array<DType, kRows.size()> dtypes{};
  for (std::size_t i = 0; i < kRows.size(); ++i) dtypes[i] = kRows[i].dtype;
  return dtypes;
}();

const Row* find(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

const Row& row_of(DType dtype) {
  if (const Row* row = find(dtype)) return *row;
  invalid("there is no dtype with number ", std::int32_t(dtype));
}

}  // namespace

std::size_t size_of(DType dtype) { return row_of(dtype).size; }
std::string_view name_of(DType dtype) { return row_of(dtype).name; }
std::span<const DType> all_dtypes() { return kDTypes; }
bool is_valid(DType dtype) { return find(dtype) != nullptr; }
bool is_floating(DType dtype) { return row_of(dtype).floating; }
bool is_complex(DType dtype) { return row_of(dtype).complex; }
bool is_integer(DType dtype) { return row_of(dtype).integer; }
bool is_plain(DType dtype) { return row_of(dtype).plain; }

DType dtype_of_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (name == row.name || name == row.alias) return row.dtype;
  }
  return DType::invalid;
}

}  // namespace headrace
