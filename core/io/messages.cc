#include "core/io/messages.h"

#include <algorithm>
#include <array>
#include <complex>
#include <cstring>
#include <type_traits>

namespace headrace {
namespace {

using wire::Kind;
using wire::Reader;
using wire::Writer;

constexpr int kMaxRank = 254;
constexpr std::uint64_t kReference = 100;  // what a reference type's number is above its target's

// ---- which field of a TensorProto holds the elements of a dtype

enum class Storage {
  half,
  float32,
  float64,
  int32,
  string,
  complex64,
  int64,
  boolean,
  complex128,
  uint32,
  uint64
};
struct ElementField {
  DType dtype;
  int field;
  Storage storage;
};
constexpr ElementField kElementFields[] = {
    {DType::float32, 5, Storage::float32},     {DType::float64, 6, Storage::float64},
    {DType::int32, 7, Storage::int32},         {DType::uint8, 7, Storage::int32},
    {DType::int16, 7, Storage::int32},         {DType::int8, 7, Storage::int32},
    {DType::uint16, 7, Storage::int32},        {DType::string, 8, Storage::string},
    {DType::complex64, 9, Storage::complex64}, {DType::int64, 10, Storage::int64},
    {DType::boolean, 11, Storage::boolean},    {DType::complex128, 12, Storage::complex128},
    {DType::float16, 13, Storage::half},       {DType::bfloat16, 13, Storage::half},
    {DType::uint32, 16, Storage::uint32},      {DType::uint64, 17, Storage::uint64},
};
constexpr int kDTypeField = 1, kShapeField = 2, kContentField = 4;

const ElementField& element_field(DType dtype) {
  for (const auto& known : kElementFields) {
    if (known.dtype == dtype) return known;
  }
  fail(Code::unimplemented, "a ", name_of(dtype), " tensor has no form in a message");
}

// The elements that stand in one field, appended to `bytes` as they lie in memory (strings to `texts`).
void read_elements(Reader& in, const ElementField& known, std::string& bytes,
                   std::vector<std::string>& texts) {
  const auto put = [&](auto value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, sizeof value);
  };
  switch (known.storage) {
    case Storage::float32:
    case Storage::complex64:
      in.reals32(put);
      break;
    case Storage::float64:
    case Storage::complex128:
      in.reals64(put);
      break;
    case Storage::string:
      texts.emplace_back(in.bytes());
      break;
    default:
      // Little-endian: the low bytes of the number are the element, whatever its width and sign.
      in.varints([&](std::uint64_t value) {
        if (known.storage == Storage::boolean) value = value != 0;
        bytes.append(reinterpret_cast<const char*>(&value), size_of(known.dtype));
      });
  }
}

void write_element(Writer& out, const Tensor& tensor) {
  const ElementField& known = element_field(tensor.dtype());
  const void* data = tensor.raw();
  switch (known.storage) {
    case Storage::float32:
    case Storage::complex64:
      out.packed_reals(known.field, std::span(static_cast<const float*>(data), tensor.bytes() / 4));
      break;
    case Storage::float64:
    case Storage::complex128:
      out.packed_reals(known.field, std::span(static_cast<const double*>(data), tensor.bytes() / 8));
      break;
    case Storage::string:
      for (const std::string& text : tensor.flat<std::string>()) out.bytes_element(known.field, text);
      break;
    case Storage::half:
      out.packed_varints(known.field, std::array{*static_cast<const std::uint16_t*>(data)});
      break;
    default:
      visit(Join<IntegerTypes, Types<bool>>{}, tensor.dtype(), [&]<class T>(std::type_identity<T>) {
        using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
        out.packed_varints(known.field, std::array{Wide(*tensor.data<T>())});
      });
  }
}

// Repeats the last element (or zero) of `have` until there are `tensor.size()`.
void fill(const Tensor& tensor, std::string_view have) {
  const std::size_t width = size_of(tensor.dtype());
  char* data = static_cast<char*>(tensor.raw());
  if (tensor.bytes() == 0) return;
  std::memcpy(data, have.data(), have.size());
  if (have.empty()) {
    std::memset(data, 0, tensor.bytes());
    return;
  }
  const char* last = data + have.size() - width;
  for (std::size_t at = have.size(); at < tensor.bytes(); at += width) std::memcpy(data + at, last, width);
}

std::string function_name(Reader in) {
  std::string name;
  while (in.next()) {
    if (in.field() == 1) name = in.text();
  }
  return name;
}

}  // namespace

// ---- dtypes and shapes

DType read_dtype(std::uint64_t number) {
  if (number > kReference && number < 2 * kReference) number -= kReference;
  const DType dtype = number < kReference ? DType(number) : DType::invalid;
  if (!is_valid(dtype)) fail(Code::unimplemented, "element type number ", number, " is not known here");
  return dtype;
}

void write_shape(Writer& out, const Shape& shape) {
  if (!shape.has_rank()) return out.boolean(3, true);
  for (std::int64_t size : shape.dims()) {
    out.message(2, [&](Writer& dim) { dim.integer(1, size); });
  }
}

Shape read_shape(Reader in) {
  std::vector<std::int64_t> dims;
  bool unknown_rank = false;
  while (in.next()) {
    if (in.field() == 3) unknown_rank = in.boolean();
    if (in.field() != 2) continue;
    std::int64_t size = 0;
    for (Reader dim = in.message(); dim.next();) {
      if (dim.field() == 1) size = dim.integer();
    }
    require(size >= kUnknown, "a shape in the message has the dimension ", size);
    require(dims.size() < kMaxRank, "a shape in the message has more than ", kMaxRank, " dimensions");
    dims.push_back(size);
  }
  return unknown_rank ? Shape::unknown() : Shape(std::move(dims));
}

// ---- tensors

void write_tensor(Writer& out, const Tensor& tensor) {
  if (!tensor) return;
  element_field(tensor.dtype());
  out.varint(kDTypeField, std::uint64_t(tensor.dtype()));
  out.message(kShapeField, [&](Writer& shape) { write_shape(shape, tensor.shape()); });
  // A lone element stands in the field of its type, as programs expect that print such messages.
  if (tensor.size() == 1 || tensor.dtype() == DType::string) {
    write_element(out, tensor);
  } else if (tensor.size() > 0) {
    out.bytes(kContentField, {static_cast<const char*>(tensor.raw()), tensor.bytes()});
  }
}

Tensor read_tensor(Reader in, Expansion& expansion) {
  // The dtype decides which field to read, and may come last: hence two walks.
  DType dtype = DType::invalid;
  Shape shape;
  std::string_view content;
  for (Reader first = in; first.next();) {
    switch (first.field()) {
      case kDTypeField:
        dtype = read_dtype(first.varint());
        break;
      case kShapeField:
        shape = read_shape(first.message());
        break;
      case kContentField:
        content = first.bytes();
        break;
    }
  }
  require(dtype != DType::invalid, "a tensor in the message has no element type");
  require(shape.is_full(), "a tensor in the message has the unknown shape ", shape);
  const ElementField& known = element_field(dtype);
  const std::int64_t count = shape.size();
  const std::int64_t bytes = checked_mul(count, std::int64_t(size_of(dtype)));

  if (!content.empty()) {
    require(is_plain(dtype) && std::int64_t(content.size()) == bytes, "a ", name_of(dtype),
            " tensor of shape ", shape, " in the message comes with ", content.size(), " bytes of content");
    Tensor tensor(dtype, std::move(shape));
    std::memcpy(tensor.raw(), content.data(), content.size());
    if (dtype == DType::boolean) {  // any other byte would be no bool
      for (char& byte : std::span(static_cast<char*>(tensor.raw()), content.size())) byte = byte != 0;
    }
    return tensor;
  }

  std::string elements;
  std::vector<std::string> texts;
  while (in.next()) {
    if (in.field() == known.field) read_elements(in, known, elements, texts);
  }
  const std::int64_t have =
      dtype == DType::string ? std::int64_t(texts.size()) : std::int64_t(elements.size() / size_of(dtype));
  require(have <= count && elements.size() % size_of(dtype) == 0, "a tensor of shape ", shape,
          " in the message comes with ", have, " elements");
  const std::int64_t repeated = dtype == DType::string && have ? std::int64_t(texts.back().size()) : 0;
  const std::int64_t added = checked_mul(count - have, std::int64_t(size_of(dtype)) + repeated);
  if (added > expansion.bytes_left) {
    fail(Code::resource_exhausted, "a ", name_of(dtype), " tensor of shape ", shape,
         " stands in the message as ", have,
         " elements to be repeated; that is more memory than an import may take");
  }
  expansion.bytes_left -= added;
  Tensor tensor(dtype, std::move(shape));
  if (dtype != DType::string) {
    fill(tensor, elements);
  } else {
    const auto flat = tensor.flat<std::string>();
    std::copy(texts.begin(), texts.end(), flat.begin());
    if (have) std::fill(flat.begin() + have, flat.end(), texts.back());
  }
  return tensor;
}

// ---- attributes

// Field numbers of AttrValue; those of AttrValue.ListValue are the same where they exist, except for func.
namespace field {
constexpr int kList = 1, kString = 2, kInt = 3, kFloat = 4, kBool = 5, kType = 6, kShape = 7, kTensor = 8,
              kPlaceholder = 9, kFunction = 10, kFunctionInList = 9;
}

namespace {

struct AttrType {
  std::string_view name;
  int field, list_field;
};
constexpr AttrType kAttrTypes[] = {
    {"string", field::kString, field::kString}, {"int", field::kInt, field::kInt},
    {"float", field::kFloat, field::kFloat},    {"bool", field::kBool, field::kBool},
    {"type", field::kType, field::kType},       {"shape", field::kShape, field::kShape},
    {"tensor", field::kTensor, field::kTensor}, {"func", field::kFunction, field::kFunctionInList},
};

template <class T>
void write_one(Writer& out, int number, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    out.bytes_element(number, value);
  } else if constexpr (std::is_same_v<T, float>) {
    out.real32_element(number, value);
  } else if constexpr (std::is_same_v<T, Shape>) {
    out.message(number, [&](Writer& shape) { write_shape(shape, value); });
  } else if constexpr (std::is_same_v<T, Tensor>) {
    out.message(number, [&](Writer& tensor) { write_tensor(tensor, value); });
  } else if constexpr (std::is_same_v<T, FunctionName>) {
    out.message(number, [&](Writer& function) { function.bytes(1, value.name); });
  } else {
    out.varint_element(number, std::uint64_t(value));
  }
}

template <class T>
void write_list(Writer& out, int number, const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, float>) {
    out.packed_reals(number, values);
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> ||
                       std::is_same_v<T, DType>) {
    out.packed_varints(number, values);
  } else {
    for (const T& value : values) write_one(out, number, value);
  }
}

// Reads one field of the named type, which may hold several values if they are packed numbers: calls
// put(value) with each.
template <class Put>
void read_values(Reader& in, std::string_view type, Expansion& expansion, Put&& put) {
  if (type == "string") {
    put(std::string(in.bytes()));
  } else if (type == "int") {
    in.varints([&](std::uint64_t value) { put(std::int64_t(value)); });
  } else if (type == "float") {
    in.reals32([&](float value) { put(value); });
  } else if (type == "bool") {
    in.varints([&](std::uint64_t value) { put(value != 0); });
  } else if (type == "type") {
    in.varints([&](std::uint64_t value) { put(read_dtype(value)); });
  } else if (type == "shape") {
    put(read_shape(in.message()));
  } else if (type == "tensor") {
    put(read_tensor(in.message(), expansion));
  } else {
    put(FunctionName{function_name(in.message())});
  }
}

template <class T>
void append_to(Attr& list, T value) {
  std::get<std::vector<T>>(list).push_back(std::move(value));
}

Attr empty_list(std::string_view element) {
  if (element == "int") return std::vector<std::int64_t>();
  if (element == "float") return std::vector<float>();
  if (element == "bool") return std::vector<bool>();
  if (element == "type") return std::vector<DType>();
  if (element == "shape") return std::vector<Shape>();
  if (element == "tensor") return std::vector<Tensor>();
  if (element == "func") return std::vector<FunctionName>();
  return std::vector<std::string>();
}

Attr read_list(Reader in, std::string_view element, Expansion& expansion) {
  if (element.empty()) {  // the first field tells
    for (Reader first = in; element.empty() && first.next();) {
      for (const auto& known : kAttrTypes) {
        if (known.list_field == first.field()) element = known.name;
      }
    }
  }
  Attr list = empty_list(element);
  while (in.next()) {
    const auto known = std::find_if(std::begin(kAttrTypes), std::end(kAttrTypes),
                                    [&](auto& t) { return t.list_field == in.field(); });
    if (known == std::end(kAttrTypes)) continue;
    require(known->name == element, "a list(", element, ") holds a ", known->name);
    read_values(in, element, expansion, [&](auto value) { append_to(list, std::move(value)); });
  }
  return list;
}

}  // namespace

void write_attr(Writer& out, const Attr& value) {
  std::string_view type = attr_type(value);
  const bool is_list = type.starts_with("list(");
  if (is_list) type = type.substr(5, type.size() - 6);
  const auto& known =
      *std::find_if(std::begin(kAttrTypes), std::end(kAttrTypes), [&](auto& t) { return t.name == type; });
  std::visit(
      [&]<class T>(const T& held) {
        if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
          out.message(field::kList, [&](Writer& list) { write_list(list, known.list_field, held); });
        } else {
          write_one(out, known.field, held);
        }
      },
      value);
}

Attr read_attr(Reader in, std::string_view type, Expansion& expansion) {
  std::optional<Attr> value;
  while (in.next()) {  // the last field of a oneof holds
    if (in.field() == field::kList) {
      require(type.empty() || type.starts_with("list("), "must be of type ", type, ", got a list");
      value = read_list(in.message(), type.empty() ? "" : type.substr(5, type.size() - 6), expansion);
    }
    if (in.field() == field::kPlaceholder) {
      fail(Code::unimplemented, "its value is the placeholder '", in.text(),
           "' of a function that is generic in its attributes");
    }
    for (const auto& known : kAttrTypes) {
      if (known.field != in.field()) continue;
      require(type.empty() || type == known.name, "must be of type ", type, ", got a ", known.name);
      read_values(in, known.name, expansion, [&](auto one) { value = std::move(one); });
      break;
    }
  }
  require(value.has_value(), "has no value");
  return std::move(*value);
}

bool is_empty_attr(Reader in) {
  while (in.next()) {
    switch (in.kind()) {
      case Kind::varint:
        if (in.varint() != 0) return false;
        break;
      case Kind::fixed32:
        if (in.real32() != 0) return false;
        break;
      case Kind::bytes:
        if (!in.bytes().empty()) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

// ---- definitions

void write_op_def(Writer& out, const OpDef& op) {
  const auto write_arg = [](const ArgDef& arg) {
    return [&arg](Writer& to) {
      to.bytes(1, arg.name);
      to.varint(3, std::uint64_t(arg.dtype));
      to.bytes(arg.is_type_list ? 6 : 4, arg.type_attr);
      to.bytes(5, arg.number_attr);
    };
  };
  out.bytes(1, op.name());
  for (const ArgDef& arg : op.inputs()) out.message(2, write_arg(arg));
  for (const ArgDef& arg : op.outputs()) out.message(3, write_arg(arg));
  for (const AttrDef& attr : op.attrs()) {
    out.message(4, [&](Writer& to) {
      to.bytes(1, attr.name);
      to.bytes(2, attr.type);
      if (attr.default_value) to.message(3, [&](Writer& value) { write_attr(value, *attr.default_value); });
      to.boolean(5, attr.minimum.has_value());
      to.integer(6, attr.minimum.value_or(0));
      if (!attr.allowed_dtypes.empty()) {
        to.message(7, [&](Writer& value) { write_attr(value, attr.allowed_dtypes); });
      } else if (!attr.allowed_strings.empty()) {
        to.message(7, [&](Writer& value) { write_attr(value, attr.allowed_strings); });
      }
    });
  }
  out.bytes(5, op.doc());
  out.boolean(17, op.has(Trait::stateful));
  out.boolean(18, op.has(Trait::commutative));
}

// ---- whole messages

std::string to_tensor_proto(const Tensor& tensor) {
  Writer out;
  write_tensor(out, tensor);
  return out.take();
}

Tensor from_tensor_proto(std::string_view bytes) {
  Expansion expansion;
  return read_tensor(Reader(bytes), expansion);
}

std::string to_attr_value(const Attr& value) {
  Writer out;
  write_attr(out, value);
  return out.take();
}

Attr from_attr_value(std::string_view bytes, std::string_view type) {
  Expansion expansion;
  return read_attr(Reader(bytes), type, expansion);
}

std::string to_op_def(const OpDef& op) {
  Writer out;
  write_op_def(out, op);
  return out.take();
}

}  // namespace headrace
