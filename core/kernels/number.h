// Numbers read from text.
#pragma once

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/dtype.h"
#include "core/base/error.h"

namespace headrace {

inline std::string_view without_blanks(std::string_view text) {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// The number that a text is, with blanks around it. InvalidArgument if it is none, or does not fit an
// integer.
template <class T>
T number_of(std::string_view field) {
  std::string_view text = without_blanks(field);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    require(std::is_floating_point_v<T>, "'", field, "' is too large for ", name_of(dtype_v<T>));
    return T(std::strtod(std::string(text).c_str(), nullptr));  // infinite, or zero
  }
  require(error == std::errc() && end == text.data() + text.size(), "'", field, "' is no ",
          name_of(dtype_v<T>));
  return value;
}

}  // namespace headrace
