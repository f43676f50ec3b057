// Training examples: columns of tensors out of serialized Example and SequenceExample messages
// (schema/example.proto).
//
// An example has features by name, each a list of bytes, floats or integers. A parser is made for the columns
// that are wanted, once, and takes batches. It first finds where in the messages the lists stand and how many
// elements they have, all examples at once in parallel, and then decodes each list to its final place.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/tensor.h"

namespace headrace {

// How the elements of a feature become a tensor. With a batch of n examples, and m elements in the longest:
enum class ColumnForm {
  fixed,   // (n, *shape): each example has just so many elements
  padded,  // (n, ?, *shape): rows of `shape`, as many as there are, and `otherwise` behind them
  sparse,  // indices (?, 2), values (?), dense shape (n, m)
  ragged,  // values (?), row splits (n + 1)
};

struct Column {
  std::string key;
  DType dtype;  // float32, int64 or string
  ColumnForm form;
  Shape shape = {};
  // For what is missing: all elements of a fixed column, one to pad with for a padded column. A fixed column
  // without it is required.
  Tensor otherwise = {};
  DType splits = DType::int64;  // of a ragged column: int32 or int64
};

struct ColumnValue {
  Tensor values;
  Tensor indices, dense_shape;  // of sparse columns
  Tensor splits;                // of ragged columns
};

// What is wrong with examples is InvalidArgument and names the example and the feature.
class ExampleParser {
 public:
  explicit ExampleParser(std::vector<Column> columns);
  ExampleParser(ExampleParser&&) = default;
  ExampleParser(const ExampleParser&) = delete;  // the table refers to the keys

  // A value for each column. `names` of the examples, for errors, may be empty. `former` values, by column,
  // are memory for those that are to have the same shape, if nobody else holds them.
  std::vector<ColumnValue> parse(std::span<const std::string> examples, std::span<const std::string> names,
                                 std::span<Tensor> former = {}) const;
  // The same without the dimension of the batch.
  std::vector<ColumnValue> parse_one(const std::string& example) const;

  const std::vector<Column>& columns() const { return columns_; }

 private:
  friend class SequenceParser;
  // `field` of the messages holds the features.
  std::vector<ColumnValue> parse_all(int field, std::span<const std::string> examples,
                                     std::span<const std::string> names, bool one,
                                     std::span<Tensor> former = {}) const;
  struct Slot {
    std::string_view key;
    int column;
  };
  int find(std::string_view key) const;  // a column of that key, or -1

  std::vector<Column> columns_;
  std::vector<int> next_;    // another column of the same key, or -1
  std::vector<Slot> slots_;  // a hash table of the keys, open, with a power of two of places
};

// Sequence examples: a context, which is parsed as examples are, and features that have a list in each step.
// Columns of these are fixed, (n, steps, *shape) with zeros behind what there is, or sparse, with indices
// (?, 3).
class SequenceParser {
 public:
  struct Value {
    std::vector<ColumnValue> context, features;
    std::vector<Tensor> lengths;  // int64 (n), of the fixed columns among the features
  };

  // Features that are in `may_be_missing` have no steps where they are missing; other fixed columns are
  // required.
  SequenceParser(std::vector<Column> context, std::vector<Column> features,
                 std::span<const std::string> may_be_missing);

  Value parse(std::span<const std::string> examples, std::span<const std::string> names) const;
  Value parse_one(const std::string& example, const std::string& name) const;

 private:
  Value parse_all(std::span<const std::string> examples, std::span<const std::string> names, bool one) const;

  ExampleParser context_, features_;
  std::vector<bool> required_;
};

}  // namespace headrace
