// Taking GraphDef messages apart.
#include "core/io/graph_message.h"

#include <charconv>
#include <optional>

#include "core/io/graphdef.h"
#include "core/io/messages.h"

namespace headrace {

using wire::Reader;

std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

const Reader* NodeMessage::find_attr(std::string_view key) const {
  for (const auto& [name, value] : attrs) {
    if (name == key) return &value;
  }
  return nullptr;
}

Reader GraphMessage::keep(const Attr& value) { return Reader(texts.emplace_back(to_attr_value(value))); }

Source parse_source(std::string_view text) {
  Source source;
  source.control = text.starts_with('^');
  if (source.control) text.remove_prefix(1);
  source.node = text.substr(0, text.find(':'));
  text.remove_prefix(source.node.size());
  while (text.starts_with(':')) {
    text.remove_prefix(1);
    const std::string_view part = text.substr(0, text.find(':'));
    text.remove_prefix(part.size());
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), source.index);
    const bool is_number = !part.empty() && error == std::errc() && end == part.data() + part.size();
    if (!is_number) {
      require(source.output.empty() && !part.empty(), "an input is not written as 'node:output:number'");
      source.output = part;
    }
  }
  require(!source.node.empty() && source.index >= 0, "an input names no node");
  return source;
}

namespace {

void read_map_entry(Reader entry, AttrMessages& attrs) {
  std::string_view key;
  std::optional<Reader> value;
  const int depth = entry.depth();
  while (entry.next()) {
    if (entry.field() == 1) key = entry.text();
    if (entry.field() == 2) value = entry.message();
  }
  attrs.emplace_back(key, value ? *value : Reader("", depth));
}

NodeMessage read_node(Reader in) {
  NodeMessage node;
  std::vector<std::string_view> inputs;
  while (in.next()) {
    switch (in.field()) {
      case 1:
        node.name = in.text();
        break;
      case 2:
        node.op = in.text();
        break;
      case 3:
        inputs.push_back(in.text());
        break;
      case 4:
        node.device = in.text();
        break;
      case 5:
        read_map_entry(in.message(), node.attrs);
        break;
    }
  }
  require(!node.name.empty(), "a node in the message has no name");
  require(!node.op.empty(), "node ", quoted(node.name), " has no operation");
  for (const auto& text : inputs) {
    try {
      node.inputs.push_back(parse_source(text));
    } catch (const Error& error) {
      invalid("node ", quoted(node.name), " reads ", quoted(text), ": ", error.what());
    }
  }
  return node;
}

ArgumentMessage read_argument(Reader in, std::string_view function) {
  ArgumentMessage argument;
  while (in.next()) {
    if (in.field() == 1) argument.name = in.text();
    if (in.field() == 3) argument.dtype = read_dtype(in.varint());
    if (in.field() == 4 || in.field() == 5 || in.field() == 6) {
      if (!in.text().empty()) {
        fail(Code::unimplemented, "function ", quoted(function), " is generic in its types");
      }
    }
  }
  require(argument.dtype != DType::invalid && !argument.name.empty(), "an argument or result of function ",
          quoted(function), " has no name or no type");
  return argument;
}

std::pair<std::string_view, std::string_view> read_text_pair(Reader entry) {
  std::pair<std::string_view, std::string_view> pair;
  while (entry.next()) {
    if (entry.field() == 1) pair.first = entry.text();
    if (entry.field() == 2) pair.second = entry.text();
  }
  return pair;
}

}  // namespace

FunctionMessage read_function(Reader in) {
  FunctionMessage function;
  std::optional<Reader> signature;
  while (in.next()) {
    switch (in.field()) {
      case 1:
        signature = in.message();
        break;
      case 3:
        function.nodes.push_back(read_node(in.message()));
        break;
      case 4:
        function.returns.insert(read_text_pair(in.message()));
        break;
      case 5:
        read_map_entry(in.message(), function.attrs);
        break;
      case 6:
        function.control_returns.insert(read_text_pair(in.message()));
        break;
      case 7: {
        std::uint64_t index = 0;
        AttrMessages attrs;
        for (Reader entry = in.message(); entry.next();) {
          if (entry.field() == 1) index = entry.varint();
          if (entry.field() != 2) continue;
          for (Reader map = entry.message(); map.next();) {
            if (map.field() == 1) read_map_entry(map.message(), attrs);
          }
        }
        function.argument_attrs[index] = std::move(attrs);
        break;
      }
    }
  }
  require(signature.has_value(), "a function in the message has no signature");
  for (Reader named = *signature; named.next();) {
    if (named.field() == 1) function.name = named.text();
  }
  require(!function.name.empty(), "a function in the message has no name");
  while (signature->next()) {
    if (signature->field() == 2)
      function.arguments.push_back(read_argument(signature->message(), function.name));
    if (signature->field() == 3)
      function.results.push_back(read_argument(signature->message(), function.name));
    if (signature->field() == 20) function.control_outputs.push_back(signature->text());
  }
  return function;
}

namespace {

void check_versions(Reader in) {
  std::int64_t least = 0;
  bool bad = false;
  while (in.next()) {
    if (in.field() == 2) least = in.integer();
    if (in.field() == 3)
      in.varints([&](std::uint64_t version) { bad = bad || version == kGraphDefProducer; });
  }
  require(least <= kGraphDefProducer, "the graph was made for programs that read version ", least,
          " of the format or newer ones; this is version ", kGraphDefProducer);
  require(!bad, "the graph says that programs of version ", kGraphDefProducer,
          " of the format must not read it; this is one");
}

}  // namespace

GraphMessage read_graph(std::string_view message) {
  GraphMessage graph;
  for (Reader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        graph.nodes.push_back(read_node(in.message()));
        break;
      case 2:
        for (Reader library = in.message(); library.next();) {
          if (library.field() == 1) graph.functions.push_back(read_function(library.message()));
        }
        break;
      case 4:
        check_versions(in.message());
        break;
    }
  }
  return graph;
}

}  // namespace headrace
