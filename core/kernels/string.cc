// Kernels of operations on strings.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <functional>

#include "core/base/fingerprint.h"
#include "core/base/text.h"
#include "core/kernels/number.h"
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

// ---- one string at a time

// What `f` makes of each string of input 0: strings.
template <class F>
std::unique_ptr<Kernel> each_text(PrepareContext& c, F f) {
  c.own_output(0);
  return kernel([f = std::move(f), shape = c.output_shape(0)](RunContext& r) {
    Tensor out(DType::string, shape);
    const std::string* in = r.input<std::string>(0);
    for (std::string& text : out.flat<std::string>()) text = f(*in++);
    r.set_output(0, std::move(out));
  });
}
// The same for numbers.
template <class T, class F>
std::unique_ptr<Kernel> each_number(PrepareContext& c, F f) {
  return kernel([f = std::move(f), size = c.output_shape(0).size()](RunContext& r) {
    const std::string* in = r.input<std::string>(0);
    T* out = r.output<T>(0);
    for (std::int64_t i = 0; i < size; ++i) out[i] = f(in[i]);
  });
}

bool in_bytes(const PrepareContext& c) { return c.attr<std::string>("unit") == "BYTE"; }
// A character of UTF-8 begins here, and does not go on.
bool begins(char c) { return (c & 0xc0) != 0x80; }

std::unique_ptr<Kernel> prepare_length(PrepareContext& c) {
  if (in_bytes(c))
    return each_number<std::int32_t>(c, [](const std::string& s) { return std::int32_t(s.size()); });
  return each_number<std::int32_t>(
      c, [](const std::string& s) { return std::int32_t(std::count_if(s.begin(), s.end(), begins)); });
}

std::unique_ptr<Kernel> prepare_strip(PrepareContext& c) {
  return each_text(c, [](const std::string& text) { return std::string(without_blanks(text)); });
}

// Letters of ASCII; those of other alphabets are for the next kernel.
template <char First, int Distance>
std::unique_ptr<Kernel> prepare_case(PrepareContext& c) {
  if (!c.attr<std::string>("encoding").empty()) return nullptr;
  return each_text(c, [](std::string text) {
    for (char& letter : text) {
      if (letter >= First && letter < First + 26) letter = char(letter + Distance);
    }
    return text;
  });
}

std::unique_ptr<Kernel> prepare_to_number(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(Types<float, double, std::int32_t, std::int64_t>{}, c.output_dtype(0),
        [&]<class T>(std::type_identity<T>) { made = each_number<T>(c, number_of<T>); });
  return made;
}

template <class Hash>
std::unique_ptr<Kernel> hash_bucket(PrepareContext& c, Hash hash) {
  const auto buckets = std::uint64_t(c.attr<std::int64_t>("num_buckets"));
  return each_number<std::int64_t>(
      c, [=](const std::string& text) { return std::int64_t(hash(text) % buckets); });
}
std::unique_ptr<Kernel> prepare_hash(PrepareContext& c) {
  constexpr std::uint64_t kSeed = 0xDECAFCAFFE;  // what graphs rely on
  return hash_bucket(c, [](const std::string& text) { return murmur_hash(text, kSeed); });
}
std::unique_ptr<Kernel> prepare_fast_hash(PrepareContext& c) { return hash_bucket(c, farm_fingerprint); }
std::unique_ptr<Kernel> prepare_strong_hash(PrepareContext& c) {
  const auto& key = c.attr<std::vector<std::int64_t>>("key");
  require(key.size() == 2, "key has ", key.size(), " numbers, expected 2");
  return hash_bucket(c, [first = std::uint64_t(key[0]), second = std::uint64_t(key[1])](
                            const std::string& text) { return sip_hash(text, first, second); });
}

// ---- base 64: three bytes are four letters

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encoded(std::string_view bytes, bool pad) {
  std::string text;
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 3))) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? std::uint8_t(bytes[i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i) {
      if (i <= count) {
        text += kLetters[bits >> (18 - 6 * i) & 63];
      } else if (pad) {
        text += '=';
      }
    }
  }
  return text;
}

std::string decoded(std::string_view text) {
  const std::string_view all = text;
  if (text.size() % 4 == 0) {
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  require(text.size() % 4 != 1, "'", all, "' is not in base 64: of ", text.size(),
          " letters one is left over");
  std::string bytes;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t value = kLetters.find(text[i]);
    require(value != kLetters.npos, "'", all, "' is not in base 64: letter ", i,
            " is none of A-Z, a-z, 0-9, - and _");
    bits = bits << 6 | std::uint32_t(value);
    if (i % 4 > 0) bytes += char(bits >> (6 - 2 * (i % 4)));
  }
  return bytes;
}

std::unique_ptr<Kernel> prepare_encode(PrepareContext& c) {
  return each_text(c, [pad = c.attr<bool>("pad")](const std::string& text) { return encoded(text, pad); });
}
std::unique_ptr<Kernel> prepare_decode(PrepareContext& c) {
  return each_text(c, [](const std::string& text) { return decoded(text); });
}

// ---- parts

using Parts = std::vector<std::string_view>;

// What `cut(text, separator, parts)` makes of each string of input 0, as a sparse matrix.
template <class Cut>
std::unique_ptr<Kernel> prepare_cut(PrepareContext& c, Cut cut) {
  for (int i = 0; i < 3; ++i) c.own_output(i);
  return kernel([cut = std::move(cut), rows = c.input_shape(0).size()](RunContext& r) {
    const std::string* in = r.input<std::string>(0);
    const std::string& separator = *r.input<std::string>(1);
    Parts parts;
    std::vector<std::size_t> ends;  // by row
    std::size_t most = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::size_t begin = parts.size();
      cut(std::string_view(in[row]), std::string_view(separator), parts);
      ends.push_back(parts.size());
      most = std::max(most, parts.size() - begin);
    }
    const auto size = std::int64_t(parts.size());
    Tensor indices(DType::int64, Shape{size, 2}), values(DType::string, Shape{size});
    auto texts = values.flat<std::string>();
    std::int64_t* index = indices.flat<std::int64_t>().data();
    for (std::size_t row = 0, i = 0; row < ends.size(); ++row) {
      for (std::int64_t column = 0; i < ends[row]; ++i, ++column) {
        texts[i] = parts[i];
        *index++ = std::int64_t(row);
        *index++ = column;
      }
    }
    r.set_output(0, std::move(indices));
    r.set_output(1, std::move(values));
    r.set_output(2, Tensor::vector<std::int64_t>({rows, std::int64_t(most)}));
  });
}

std::unique_ptr<Kernel> prepare_split(PrepareContext& c) {
  const bool skip_empty = c.attr<bool>("skip_empty");
  return prepare_cut(c, [=](std::string_view text, std::string_view letters, Parts& parts) {
    if (letters.empty()) {
      for (std::size_t i = 0; i < text.size(); ++i) parts.push_back(text.substr(i, 1));
      return;
    }
    for (bool more = !text.empty(); more;) {
      const std::size_t end = std::min(text.find_first_of(letters), text.size());
      if (end > 0 || !skip_empty) parts.push_back(text.substr(0, end));
      more = end < text.size();
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  });
}

std::unique_ptr<Kernel> prepare_split_v2(PrepareContext& c) {
  const std::int64_t most = c.attr<std::int64_t>("maxsplit");
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  return prepare_cut(c, [=](std::string_view text, std::string_view separator, Parts& parts) {
    if (most == 0) return parts.push_back(text);
    const bool at_blanks = separator.empty();
    const auto skip_blanks = [&] {
      text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    };
    if (at_blanks) skip_blanks();
    for (std::int64_t cuts = 0; cuts != most; ++cuts) {
      const std::size_t end = at_blanks ? text.find_first_of(kBlanks) : text.find(separator);
      if (end == text.npos) break;
      parts.push_back(text.substr(0, end));
      text.remove_prefix(end + (at_blanks ? 1 : separator.size()));
      if (at_blanks) skip_blanks();
    }
    if (!at_blanks || !text.empty()) parts.push_back(text);
  });
}

// The byte at which character number `count` begins, or the end.
std::size_t byte_of(std::string_view text, std::int64_t count) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (begins(text[i]) && count-- == 0) return i;
  }
  return text.size();
}

std::string_view part_of(std::string_view text, std::int64_t from, std::int64_t count, bool bytes) {
  const auto size =
      bytes ? std::int64_t(text.size()) : std::int64_t(std::count_if(text.begin(), text.end(), begins));
  require(from >= -size && from <= size, "pos is ", from, ", but '", text, "' has ", size,
          bytes ? " bytes" : " characters");
  if (from < 0) from += size;
  const std::int64_t end = count < 0 || count > size - from ? size : from + count;
  if (bytes) return text.substr(std::size_t(from), std::size_t(end - from));
  const std::size_t begin = byte_of(text, from);
  return text.substr(begin, byte_of(text, end) - begin);
}

// For each element of a shape, the place of the one that it reads from an operand that is repeated.
std::vector<std::int64_t> places(const Shape& operand, const Shape& shape) {
  std::vector<std::int64_t> found{0};
  std::int64_t stride = operand.size();
  for (int i = 0; i < shape.rank(); ++i) {
    const int j = i - (shape.rank() - operand.rank());
    const bool moves = j >= 0 && operand[j] != 1;
    if (moves) stride /= std::max<std::int64_t>(operand[j], 1);
    std::vector<std::int64_t> next;
    for (std::int64_t place : found) {
      for (std::int64_t k = 0; k < shape[i]; ++k) next.push_back(place + (moves ? k * stride : 0));
    }
    found = std::move(next);
  }
  return found;
}

std::unique_ptr<Kernel> prepare_substr(PrepareContext& c) {
  c.own_output(0);
  const Shape shape = c.output_shape(0);
  auto texts = places(c.input_shape(0), shape), parts = places(c.input_shape(1), shape);
  const bool wide = c.input_dtype(1) == DType::int64;
  return kernel([=, bytes = in_bytes(c), texts = std::move(texts), parts = std::move(parts)](RunContext& r) {
    const auto number = [&](int input, std::int64_t i) {
      return wide ? r.input<std::int64_t>(input)[i] : std::int64_t(r.input<std::int32_t>(input)[i]);
    };
    Tensor out(DType::string, shape);
    auto made = out.flat<std::string>();
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i] = part_of(r.input<std::string>(0)[texts[i]], number(1, parts[i]), number(2, parts[i]), bytes);
    }
    r.set_output(0, std::move(out));
  });
}

// ---- joining

std::unique_ptr<Kernel> prepare_reduce_join(PrepareContext& c) {
  c.own_output(0);
  const Shape in = c.input_shape(0), shape = c.output_shape(0);
  return kernel(
      [=, separator = c.attr<std::string>("separator"), num_axes = c.input_shape(1).size()](RunContext& r) {
        std::vector<std::int64_t> strides(std::size_t(in.rank()), 1);
        for (int i = in.rank() - 2; i >= 0; --i)
          strides[std::size_t(i)] = strides[std::size_t(i + 1)] * in[i + 1];
        std::vector<bool> reduced(std::size_t(in.rank()));
        // Where the joined elements lie, counted from the first: the first axis goes fastest.
        std::vector<std::int64_t> joined{0}, kept{0}, next;
        for (std::int64_t i = 0; i < num_axes; ++i) {
          const int axis = normalize_axis(r.input<std::int32_t>(1)[i], in.rank());
          require(!reduced[std::size_t(axis)], "axis ", axis, " is given twice");
          reduced[std::size_t(axis)] = true;
          next.clear();
          for (std::int64_t k = 0; k < in[axis]; ++k) {
            for (std::int64_t at : joined) next.push_back(at + k * strides[std::size_t(axis)]);
          }
          joined.swap(next);
        }
        for (int axis = 0; axis < in.rank(); ++axis) {
          if (reduced[std::size_t(axis)]) continue;
          next.clear();
          for (std::int64_t at : kept) {
            for (std::int64_t k = 0; k < in[axis]; ++k) next.push_back(at + k * strides[std::size_t(axis)]);
          }
          kept.swap(next);
        }
        Tensor out(DType::string, shape);
        auto texts = out.flat<std::string>();
        for (std::size_t i = 0; i < texts.size(); ++i) {
          for (std::size_t k = 0; k < joined.size(); ++k) {
            if (k > 0) texts[i] += separator;
            texts[i] += r.input<std::string>(0)[kept[i] + joined[k]];
          }
        }
        r.set_output(0, std::move(out));
      });
}

std::unique_ptr<Kernel> prepare_segment_join(PrepareContext& c) {
  c.own_output(0);
  const Shape shape = c.output_shape(0);
  const std::int64_t ids = c.input_shape(1).size(), inner = ids ? c.input_shape(0).size() / ids : 0;
  const bool wide = c.input_dtype(1) == DType::int64;
  return kernel([=, separator = c.attr<std::string>("separator")](RunContext& r) {
    Tensor out(DType::string, shape);
    auto texts = out.flat<std::string>();
    std::vector<bool> begun(static_cast<std::size_t>(shape[0]));
    for (std::int64_t i = 0; i < ids; ++i) {
      const std::int64_t id = wide ? r.input<std::int64_t>(1)[i] : r.input<std::int32_t>(1)[i];
      require(id >= 0 && id < shape[0], "segment_ids has ", id, ", but there are ", shape[0], " segments");
      for (std::int64_t k = 0; k < inner; ++k) {
        std::string& text = texts[std::size_t(id * inner + k)];
        if (begun[std::size_t(id)]) text += separator;
        text += r.input<std::string>(0)[i * inner + k];
      }
      begun[std::size_t(id)] = true;
    }
    r.set_output(0, std::move(out));
  });
}

}  // namespace

HEADRACE_KERNELS(string) {
  add_kernel("StringSplit", prepare_split);
  add_kernel("StringSplitV2", prepare_split_v2);
  add_kernel("StringLength", prepare_length);
  add_kernel("StringStrip", prepare_strip);
  add_kernel("StringLower", prepare_case<'A', 32>);
  add_kernel("StringUpper", prepare_case<'a', -32>);
  add_kernel("Substr", prepare_substr);
  add_kernel("StringToNumber", prepare_to_number);
  add_kernel("StringToHashBucket", prepare_hash);
  add_kernel("StringToHashBucketFast", prepare_fast_hash);
  add_kernel("StringToHashBucketStrong", prepare_strong_hash);
  add_kernel("EncodeBase64", prepare_encode);
  add_kernel("DecodeBase64", prepare_decode);
  add_kernel("ReduceJoin", prepare_reduce_join);
  add_kernel("UnsortedSegmentJoin", prepare_segment_join);
  add_kernel("StringFormat", prepare_string_format);
  add_kernel("StringJoin", prepare_string_join);
  add_kernel("AsString", prepare_as_string);
}

}  // namespace headrace
