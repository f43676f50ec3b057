// Definitions of tables: keys and their values, which steps look up and change.
#include "core/registry/ops.h"

namespace headrace {
namespace {

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

// The shape of a value: what the maker of the table says, a scalar where it says nothing, and unknown where
// the handle comes from elsewhere.
Shape value_shape(Output handle) {
  while (handle.node->has(Trait::identity) && handle.node->inputs().size() == 1)
    handle = handle.node->input(0);
  const Node& maker = *handle.node;
  if (!maker.has_attr("key_dtype")) return Shape::unknown();
  return maker.attr_or("value_shape", Shape());
}

void check_values(const ShapeContext& c, const Shape& keys, const Shape& values) {
  const Shape value = value_shape(c.node().input(0));
  if (!keys.has_rank() || !values.has_rank() || !value.has_rank()) return;
  const Shape expected = keys.concat(value);
  require(values.compatible_with(expected), "keys has shape ", keys, " and values ", values,
          "; values must have shape ", expected);
}

void find_shape(ShapeContext& c) {
  const Shape value = value_shape(c.node().input(0));
  require(value.compatible_with(c.input(2)), "default_value has shape ", c.input(2), ", the table's values ",
          value);
  const Shape known = value.merge(c.input(2));
  c.output(0, c.input(1).has_rank() && known.has_rank() ? c.input(1).concat(known) : Shape::unknown());
}

void insert_shape(ShapeContext& c) { check_values(c, c.input(1), c.input(2)); }

void import_shape(ShapeContext& c) { check_values(c, c.with_rank(1, 1), c.input(2)); }

void export_shape(ShapeContext& c) {
  const Shape value = value_shape(c.node().input(0));
  c.output(0, Shape{kUnknown});
  c.output(1, value.has_rank() ? Shape{kUnknown}.concat(value) : Shape::unknown());
}

OpDef& table(const char* name) {
  return op(name)
      .out("table_handle: resource")
      .attr("container: string = ''", "shared_name: string = ''", "use_node_name_sharing: bool = false",
            "key_dtype: type", "value_dtype: type")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(handle_shape);
}

OpDef& access(const char* name, ShapeRule rule) {
  return op(name)
      .in("table_handle: resource")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(std::move(rule));
}

}  // namespace

HEADRACE_OPS(table) {
  table("HashTableV2").doc("A table that is filled once, and only read afterwards.");
  table("MutableHashTableV2").doc("A table of scalars that can be changed.");
  table("MutableHashTableOfTensorsV2")
      .attr("value_shape: shape = []")
      .doc("A table of tensors of one shape that can be changed.");
  access("LookupTableFindV2", find_shape)
      .in("keys: Tin", "default_value: Tout")
      .out("values: Tout")
      .attr("Tin: type", "Tout: type")
      .doc("The value of each key; the default value for those that are not in the table.");
  access("LookupTableInsertV2", insert_shape)
      .in("keys: Tin", "values: Tout")
      .attr("Tin: type", "Tout: type")
      .doc("Gives keys values, new ones to those that are in the table.");
  access("LookupTableRemoveV2", no_outputs)
      .in("keys: Tin")
      .attr("Tin: type")
      .doc("Removes keys; those that are not in the table are passed over.");
  access("LookupTableSizeV2", scalar_shape).out("size: int64").doc("How many keys are in a table.");
  access("LookupTableExportV2", export_shape)
      .out("keys: Tkeys", "values: Tvalues")
      .attr("Tkeys: type", "Tvalues: type")
      .doc("All keys and their values, in no particular order.");
  access("LookupTableImportV2", import_shape)
      .in("keys: Tin", "values: Tout")
      .attr("Tin: type", "Tout: type")
      .doc("Replaces all that is in a table.");
  access("InitializeTableV2", import_shape)
      .in("keys: Tkey", "values: Tval")
      .attr("Tkey: type", "Tval: type")
      .doc("Fills a table. It can be filled again with the same keys and values only.");
  access("InitializeTableFromTextFileV2",
         [](ShapeContext& c) {
           c.with_rank(0, 0);
           c.with_rank(1, 0);
         })
      .in("filename: string")
      .attr("key_index: int >= -2", "value_index: int >= -2", "vocab_size: int >= -1 = -1",
            "delimiter: string = '\t'", "offset: int = 0")
      .doc("Fills a table with the lines of a file: their columns, the whole line (-2), its number (-1).");
}

}  // namespace headrace
