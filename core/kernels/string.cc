// Kernels of operations on strings.
#include <cstdio>

#include "core/base/text.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

std::unique_ptr<Kernel> prepare_string_format(PrepareContext& c) {
  c.own_output(0);
  std::vector<std::string> parts;  // of the template, between the placeholders
  std::string_view rest = c.attr<std::string>("template");
  const std::string& placeholder = c.attr<std::string>("placeholder");
  require(!placeholder.empty(), "placeholder is empty; use for instance '{}'");
  for (auto at = rest.find(placeholder); at != rest.npos; at = rest.find(placeholder)) {
    parts.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + placeholder.size());
  }
  parts.emplace_back(rest);
  require(int(parts.size()) == c.num_inputs() + 1, "the template has ", parts.size() - 1, " placeholders '",
          placeholder, "' for ", c.num_inputs(), " tensors; there must be one for each");
  std::vector<ValueType> types(c.inputs().begin(), c.inputs().end());
  return kernel([=, edge = c.attr<std::int64_t>("summarize")](RunContext& r) {
    std::string text = parts[0];
    for (std::size_t i = 0; i < types.size(); ++i) {
      text += block_text(types[i].dtype, types[i].shape, r.input<char>(int(i)), edge) + parts[i + 1];
    }
    r.set_output(0, Tensor::scalar(std::move(text)));
  });
}

std::unique_ptr<Kernel> prepare_string_join(PrepareContext& c) {
  c.own_output(0);
  const Shape shape = c.output_shape(0);
  std::vector<bool> scalar;
  for (const ValueType& input : c.inputs()) scalar.push_back(input.shape.rank() == 0);
  return kernel([=, separator = c.attr<std::string>("separator")](RunContext& r) {
    Tensor out(DType::string, shape);
    auto texts = out.flat<std::string>();
    for (std::size_t k = 0; k < texts.size(); ++k) {
      for (std::size_t i = 0; i < scalar.size(); ++i) {
        if (i > 0) texts[k] += separator;
        texts[k] += r.input<std::string>(int(i))[scalar[i] ? 0 : k];
      }
    }
    r.set_output(0, std::move(out));
  });
}

std::string printed(const std::string& format, auto... values) {
  const int size = std::snprintf(nullptr, 0, format.c_str(), values...);
  std::string text(std::size_t(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), format.c_str(), values...);
  text.pop_back();
  return text;
}

std::unique_ptr<Kernel> prepare_as_string(PrepareContext& c) {
  c.own_output(0);
  const DType dtype = c.input_dtype(0);
  const std::int64_t precision = c.attr<std::int64_t>("precision"), width = c.attr<std::int64_t>("width");
  const std::string& fill = c.attr<std::string>("fill");
  const bool scientific = c.attr<bool>("scientific"), shortest = c.attr<bool>("shortest");
  const bool real = is_floating(dtype) || is_complex(dtype);
  require(fill.empty() || fill == " " || fill == "-" || fill == "0" || fill == "+", "fill is '", fill,
          "', expected one of ' ', '+', '-', '0' or nothing");
  require(real || precision < 0, "precision is ", precision, ", but ", name_of(dtype), " has no fraction");
  require(real || (!scientific && !shortest), "scientific and shortest are for floats, not for ",
          name_of(dtype));
  require(!(scientific && shortest), "give scientific or shortest, not both");
  std::string flags = "%" + fill;
  if (width >= 0) flags += std::to_string(width);
  std::string number = flags;
  if (precision >= 0) number += "." + std::to_string(precision);
  number += scientific ? "e" : shortest ? "g" : "f";
  const Shape shape = c.output_shape(0);
  return kernel([=](RunContext& r) {
    Tensor out(DType::string, shape);
    auto texts = out.flat<std::string>();
    const char* data = r.input<char>(0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (dtype == DType::boolean) texts[i] = reinterpret_cast<const bool*>(data)[i] ? "true" : "false";
      visit(IntegerTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
        const T value = reinterpret_cast<const T*>(data)[i];
        texts[i] = std::is_signed_v<T> ? printed(flags + "lld", (long long)(value))
                                       : printed(flags + "llu", (unsigned long long)(value));
      });
      visit(FloatTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
        texts[i] = printed(number, double(Compute<T>(reinterpret_cast<const T*>(data)[i])));
      });
      visit(ComplexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
        const T value = reinterpret_cast<const T*>(data)[i];
        texts[i] = printed("(" + number + "," + number + ")", double(value.real()), double(value.imag()));
      });
    }
    r.set_output(0, std::move(out));
  });
}

}  // namespace

HEADRACE_KERNELS(string) {
  add_kernel("StringFormat", prepare_string_format);
  add_kernel("StringJoin", prepare_string_join);
  add_kernel("AsString", prepare_as_string);
}

}  // namespace headrace
