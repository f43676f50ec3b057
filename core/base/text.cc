#include "core/base/text.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace headrace {
namespace {

// The fewest digits of two lengths that give the value back.
template <class T>
std::string real_text(T value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", std::numeric_limits<T>::digits10, double(value));
  if (!std::isnan(value) && T(std::strtod(text, nullptr)) != value)
    std::snprintf(text, sizeof text, "%.*g", std::numeric_limits<T>::max_digits10, double(value));
  return std::isnan(value) ? "nan" : text;
}

class Blocks {
 public:
  Blocks(DType dtype, const Shape& shape, const void* data, std::int64_t edge)
      : dtype_(dtype), shape_(shape), strides_(strides_of(shape.dims())), data_(data), edge_(edge) {}

  std::string write(int axis, std::int64_t offset) const {
    if (axis == shape_.rank()) {
      const std::string text = element_text(dtype_, data_, offset);
      return dtype_ == DType::string && axis > 0 ? '"' + text + '"' : text;
    }
    const bool last = axis == shape_.rank() - 1;
    const std::string separator = last ? " "
                                       : std::string(std::size_t(shape_.rank() - axis - 1), '\n') +
                                             std::string(std::size_t(axis + 1), ' ');
    const std::int64_t size = shape_[axis];
    const bool cut = edge_ >= 0 && size > 2 * edge_;
    std::string out = "[";
    for (std::int64_t i = 0; i < size; ++i) {
      if (i > 0) out += separator;
      if (cut && i == edge_) {
        out += "...";
        i = size - edge_ - 1;
        continue;
      }
      out += write(axis + 1, offset + i * strides_[axis]);
    }
    return out + "]";
  }

 private:
  DType dtype_;
  const Shape& shape_;
  std::vector<std::int64_t> strides_;
  const void* data_;
  std::int64_t edge_;
};

}  // namespace

std::string element_text(DType dtype, const void* data, std::int64_t i) {
  std::string text = "<" + std::string(name_of(dtype)) + ">";
  if (dtype == DType::string) return static_cast<const std::string*>(data)[i];
  if (dtype == DType::boolean) return static_cast<const bool*>(data)[i] ? "1" : "0";
  visit(IntegerTypes{}, dtype,
        [&]<class T>(std::type_identity<T>) { text = std::to_string(static_cast<const T*>(data)[i]); });
  visit(FloatTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    text = real_text(Compute<T>(static_cast<const T*>(data)[i]));
  });
  visit(ComplexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    const T value = static_cast<const T*>(data)[i];
    text = "(" + real_text(value.real()) + "," + real_text(value.imag()) + ")";
  });
  return text;
}

std::string inline_text(DType dtype, const Shape& shape, const void* data, std::int64_t limit) {
  const std::int64_t size = shape.size();
  const std::int64_t shown = limit < 0 ? size : std::min(limit, size);
  const auto strides = strides_of(shape.dims());
  // How many of the inner dimensions have a border before element i.
  const auto borders = [&](std::int64_t i) {
    int count = 0;
    for (int axis = shape.rank() - 1; axis > 0 && i % (strides[axis] * shape[axis]) == 0; --axis) ++count;
    return std::size_t(count);
  };
  const std::size_t inner = std::size_t(std::max(0, shape.rank() - 1));
  std::string out;
  for (std::int64_t i = 0; i < shown; ++i) {
    const std::size_t opened = borders(i);
    if (i > 0 && opened == 0) out += ' ';
    out += std::string(opened, '[') + element_text(dtype, data, i);
    if (i + 1 < shown || size == shown) {
      out += std::string(borders(i + 1), ']');
    } else if (inner > 0) {
      out += (borders(i + 1) == 0 ? "..." : "") + std::string(inner, ']');
    }
  }
  return shown < size ? out + "..." : out;
}

std::string block_text(DType dtype, const Shape& shape, const void* data, std::int64_t edge) {
  return Blocks(dtype, shape, data, edge).write(0, 0);
}

}  // namespace headrace
