#include "core/graph/op_def.h"

#include <algorithm>
#include <charconv>

#include "core/graph/graph.h"

namespace headrace {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// "a: b" -> {"a", "b"}
std::pair<std::string, std::string_view> split_name(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == text.npos) internal("'", text, "' in an operation's definition has no ':'");
  return {std::string(trim(text.substr(0, colon))), trim(text.substr(colon + 1))};
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    items.push_back(trim(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '\'' || text.back() != '\'')
    internal("expected a 'quoted' string, got ", text);
  return std::string(text.substr(1, text.size() - 2));
}

DType dtype_in(std::string_view text) {
  const DType dtype = dtype_of_name(text);
  if (dtype == DType::invalid) internal("'", text, "' in an operation's definition is no dtype");
  return dtype;
}

template <class T>
T number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) internal("'", text, "' is no number");
  return value;
}

Shape shape_in(std::string_view text) {  // "?", "()", "(2, ?)"
  if (text == "?") return Shape::unknown();
  Shape shape;
  for (auto item : split_list(text.substr(1, text.size() - 2))) {
    if (!item.empty()) shape.push_back(item == "?" ? kUnknown : number_in<std::int64_t>(item));
  }
  return shape;
}

Tensor tensor_in(std::string_view text) {  // a vector: "uint8[255, 0]"
  const auto bracket = std::min(text.find('['), text.size());
  const DType dtype = dtype_in(text.substr(0, bracket));
  const auto items = split_list(text.substr(bracket + 1, text.size() - bracket - 2));
  Tensor tensor(dtype, Shape{std::int64_t(items.size())});
  const bool known = visit(IntegerTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    std::transform(items.begin(), items.end(), tensor.data<T>(), number_in<T>);
  });
  if (!known) internal("no default can be written for a tensor of ", name_of(dtype));
  return tensor;
}

Attr value_in(std::string_view type, std::string_view text) {
  if (type.starts_with("list(")) {
    const auto element = type.substr(5, type.size() - 6);
    const auto items = split_list(trim(text.substr(1, text.size() - 2)));
    auto all = [&]<class T>(std::vector<T> values) -> Attr {
      for (auto item : items) values.push_back(std::get<T>(value_in(element, item)));
      return values;
    };
    if (element == "string") return all(std::vector<std::string>{});
    if (element == "int") return all(std::vector<std::int64_t>{});
    if (element == "float") return all(std::vector<float>{});
    if (element == "bool") return all(std::vector<bool>{});
    if (element == "type") return all(std::vector<DType>{});
    if (element == "shape") return all(std::vector<Shape>{});
    if (element == "func") return all(std::vector<FunctionName>{});
  }
  if (type == "string") return unquote(text);
  if (type == "int") return number_in<std::int64_t>(text);
  if (type == "float") return number_in<float>(text);
  if (type == "bool") return text == "true";
  if (type == "type") return dtype_in(text);
  if (type == "shape") return shape_in(text);
  if (type == "tensor") return tensor_in(text);
  if (type == "func") return FunctionName{unquote(text)};
  internal("no default can be written for an attribute of type ", type);
}

ArgDef parse_arg(std::string_view text, const OpDef& op) {
  auto [name, type] = split_name(text);
  ArgDef arg{.name = std::move(name)};
  if (const auto star = type.find('*'); star != type.npos) {
    arg.number_attr = trim(type.substr(0, star));
    type = trim(type.substr(star + 1));
  }
  arg.dtype = dtype_of_name(type);
  if (arg.dtype == DType::invalid) arg.type_attr = type;
  return arg;
}

}  // namespace

// Whether a type attribute is a list is known once the attributes are, which are written after the arguments.
static void resolve_lists(std::vector<ArgDef>& args, const AttrDef& attr) {
  for (ArgDef& arg : args) {
    if (arg.type_attr == attr.name) arg.is_type_list = attr.type == "list(type)";
  }
}

void OpDef::add_input(std::string_view text) { inputs_.push_back(parse_arg(text, *this)); }
void OpDef::add_output(std::string_view text) { outputs_.push_back(parse_arg(text, *this)); }

void OpDef::add_attr(std::string_view text) {
  auto [name, rest] = split_name(text);
  AttrDef attr{.name = std::move(name)};
  std::string_view default_text;
  // "= default" follows the closing brace, if there is one: a brace may hold "=".
  const auto brace = rest.rfind('}');
  const auto from = brace == rest.npos ? 0 : brace;
  auto equals = rest.find('=', from);
  while (equals != rest.npos && equals > 0 && rest[equals - 1] == '>') equals = rest.find('=', equals + 1);
  if (equals != rest.npos) {
    default_text = trim(rest.substr(equals + 1));
    rest = trim(rest.substr(0, equals));
  }
  if (const auto at_least = rest.find(">="); at_least != rest.npos) {
    attr.minimum = number_in<std::int64_t>(trim(rest.substr(at_least + 2)));
    rest = trim(rest.substr(0, at_least));
  }
  const bool list = rest.starts_with("list(");
  std::string_view element = list ? trim(rest.substr(5, rest.size() - 6)) : rest;
  std::string type(element);
  if (element.starts_with('{')) {
    const auto items = split_list(element.substr(1, element.size() - 2));
    if (items.front().starts_with('\'')) {
      type = "string";
      for (auto item : items) attr.allowed_strings.push_back(unquote(item));
    } else {
      type = "type";
      for (auto item : items) attr.allowed_dtypes.push_back(dtype_in(item));
    }
  }
  attr.type = list ? "list(" + type + ")" : type;
  if (!default_text.empty()) attr.default_value = value_in(attr.type, default_text);
  resolve_lists(inputs_, attr);
  resolve_lists(outputs_, attr);
  attrs_.push_back(std::move(attr));
}

const AttrDef* OpDef::find_attr(std::string_view name) const {
  const auto it =
      std::find_if(attrs_.begin(), attrs_.end(), [&](const AttrDef& attr) { return attr.name == name; });
  return it == attrs_.end() ? nullptr : &*it;
}

ShapeContext::ShapeContext(const Node& node, std::vector<Shape> inputs, std::vector<const Tensor*> values,
                           std::vector<const PartialInts*> ints)
    : node_(node),
      inputs_(std::move(inputs)),
      outputs_(node.num_outputs(), Shape::unknown()),
      values_(std::move(values)),
      ints_(std::move(ints)),
      output_ints_(node.num_outputs()),
      wanted_(inputs_.size(), false) {}

DType ShapeContext::input_dtype(int i) const { return node_.input(i).dtype(); }

const Tensor* ShapeContext::value(int i) {
  if (!values_.at(i)) wanted_[i] = true;
  return values_[i];
}

std::optional<PartialInts> ShapeContext::ints(int i) {
  if (const Tensor* known = values_.at(i)) return to_ints(*known);
  const PartialInts* partial = ints_.at(i);
  if (!partial || std::find(partial->begin(), partial->end(), kUnknownValue) != partial->end())
    wanted_[i] = true;
  if (partial) return *partial;
  // Not even partly known, but perhaps how many there are.
  const Shape& shape = inputs_[i];
  if (shape.is_full() && shape.rank() <= 1 && shape.size() <= kMaxPartialInts) {
    return PartialInts(std::size_t(shape.size()), kUnknownValue);
  }
  return std::nullopt;
}

std::optional<std::int64_t> ShapeContext::int_value(int i) {
  const auto values = ints(i);
  if (!values || values->size() != 1 || values->front() == kUnknownValue) return std::nullopt;
  return values->front();
}

Shape ShapeContext::shape_value(int i) {
  if (input(i).has_rank() && input(i).rank() == 0) {  // a scalar -1 stands for an unknown shape
    const auto value = int_value(i);
    require(!value || *value == -1, "a shape must be a vector, got the scalar ", value ? *value : 0);
    return Shape::unknown();
  }
  with_rank(i, 1);
  const auto values = ints(i);
  if (!values) return Shape::unknown();
  Shape shape;
  for (std::int64_t value : *values) {
    require(value == kUnknownValue || value >= -1, "a shape cannot have the dimension ", value);
    shape.push_back(value < 0 ? kUnknown : value);
  }
  return shape;
}

Shape ShapeContext::with_rank(int i, int rank) const {
  const Shape& shape = input(i);
  if (!shape.has_rank()) return Shape::unknown_of_rank(rank);
  require(shape.rank() == rank, "input ", i, " must have rank ", rank, ", but its shape is ", shape);
  return shape;
}

Shape ShapeContext::with_rank_at_least(int i, int rank) const {
  const Shape& shape = input(i);
  require(!shape.has_rank() || shape.rank() >= rank, "input ", i, " must have rank ", rank,
          " or more, but its shape is ", shape);
  return shape;
}

void ShapeContext::output_ints(int i, PartialInts values) {
  if (std::int64_t(values.size()) <= kMaxPartialInts) output_ints_.at(i) = std::move(values);
}

void scalar_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, Shape());
}
void same_shape(ShapeContext& c) { c.output(0, c.input(0)); }
void merged_shape(ShapeContext& c) {
  Shape shape = Shape::unknown();
  for (int i = 0; i < c.num_inputs(); ++i) shape = shape.merge(c.input(i));
  c.output(0, shape);
}
void broadcast_shape(ShapeContext& c) { c.output(0, broadcast(c.input(0), c.input(1))); }
void unknown_shape(ShapeContext&) {}
void no_outputs(ShapeContext&) {}

}  // namespace headrace
