#include "core/graph/attr.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

namespace headrace {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Attr>> kTypeNames = {
    "string",     "int",         "float",        "bool",      "type",        "shape",
    "tensor",     "func",        "list(string)", "list(int)", "list(float)", "list(bool)",
    "list(type)", "list(shape)", "list(tensor)", "list(func)"};

bool same(const Tensor& a, const Tensor& b) { return identical(a, b); }
// Bitwise, so that NaN equals itself and the two zeros differ.
bool same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }
template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return same(x, y); });
}

void mix(std::size_t& seed, std::size_t value) {
  seed ^= value + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2);
}

std::size_t hash_one(const Shape& shape) {
  std::size_t seed = std::size_t(shape.rank());
  for (auto size : shape.dims()) mix(seed, std::size_t(size));
  return seed;
}
std::size_t hash_one(const Tensor& tensor) {
  std::size_t seed = std::size_t(tensor.dtype());
  mix(seed, hash_one(tensor.shape()));
  if (tensor && is_plain(tensor.dtype())) {
    const auto bytes = std::min<std::size_t>(tensor.bytes(), 1024);
    mix(seed, std::hash<std::string_view>{}({static_cast<const char*>(tensor.raw()), bytes}));
  }
  return seed;
}
std::size_t hash_one(const FunctionName& function) { return std::hash<std::string>{}(function.name); }
std::size_t hash_one(DType dtype) { return std::size_t(dtype); }
template <class T>
std::size_t hash_one(const T& value) {
  return std::hash<T>{}(value);
}
template <class T>
std::size_t hash_one(const std::vector<T>& values) {
  std::size_t seed = values.size();
  for (const auto& value : values) mix(seed, hash_one(static_cast<T>(value)));
  return seed;
}

std::string text(const std::string& value) { return "'" + value + "'"; }
std::string text(std::int64_t value) { return std::to_string(value); }
std::string text(float value) { return str(value); }
std::string text(bool value) { return value ? "true" : "false"; }
std::string text(DType value) { return value == DType::invalid ? "invalid" : std::string(name_of(value)); }
std::string text(const Shape& value) { return value.str(); }
std::string text(const FunctionName& value) { return "function '" + value.name + "'"; }
std::string text(const Tensor& value) {
  return value ? str("<", name_of(value.dtype()), " tensor of shape ", value.shape(), ">") : "<no tensor>";
}
template <class T>
std::string text(const std::vector<T>& values) {
  constexpr std::size_t kShown = 8;
  std::string joined = "[";
  for (std::size_t i = 0; i < values.size() && i < kShown; ++i) {
    if (i) joined += ", ";
    joined += text(static_cast<T>(values[i]));
  }
  if (values.size() > kShown) joined += ", ...";
  return joined + "]";
}

}  // namespace

std::string_view attr_type(const Attr& attr) { return kTypeNames[attr.index()]; }

bool equal(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  return std::visit([&]<class T>(const T& value) { return same(value, std::get<T>(b)); }, a);
}

bool equal(const AttrMap& a, const AttrMap& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && equal(x.second, y.second);
  });
}

std::size_t hash_of(const Attr& attr) {
  std::size_t seed = attr.index();
  mix(seed, std::visit([](const auto& value) { return hash_one(value); }, attr));
  return seed;
}

std::string to_string(const Attr& attr) {
  return std::visit([](const auto& value) { return text(value); }, attr);
}

}  // namespace headrace
