// Examples and sequence examples, in columns of every form.
#include "core/io/example.h"

#include "tests/fuzz/fuzz.h"

namespace headrace {
namespace {

std::vector<Column> columns() {
  std::vector<Column> all;
  for (const DType dtype : {DType::int64, DType::float32, DType::string}) {
    const std::string key(1, dtype == DType::int64 ? 'i' : dtype == DType::float32 ? 'f' : 's');
    all.push_back({key, dtype, ColumnForm::sparse});
    all.push_back({key, dtype, ColumnForm::ragged});
    all.push_back({key, dtype, ColumnForm::padded, Shape{}});
    all.push_back({key + "2", dtype, ColumnForm::fixed, Shape{2}, Tensor(dtype, Shape{2})});
  }
  return all;
}

std::vector<Column> steps() {
  std::vector<Column> all;
  for (const DType dtype : {DType::int64, DType::float32, DType::string}) {
    const std::string key(1, dtype == DType::int64 ? 'i' : dtype == DType::float32 ? 'f' : 's');
    all.push_back({key, dtype, ColumnForm::sparse});
    all.push_back({key + "2", dtype, ColumnForm::fixed, Shape{2}});
  }
  return all;
}

}  // namespace
}  // namespace headrace

FUZZ(example) {
  using namespace headrace;
  static const ExampleParser examples(columns());
  static const std::vector<std::string> may_be_missing{"i2", "f2", "s2"};
  static const SequenceParser sequences(columns(), steps(), may_be_missing);
  const std::string half(bytes.substr(0, bytes.size() / 2));
  const std::vector<std::string> batch{std::string(bytes), half, std::string(bytes)};
  fuzzing::run(
      [](std::string_view all) {
        for (const ColumnValue& value : examples.parse_one(std::string(all))) {
          if (!value.values) internal("a column has no value");
        }
      },
      bytes);
  try {
    examples.parse(batch, {});
  } catch (const Error& error) {
    if (!testing::contains(error.what(), "example ")) internal("no example is named in: ", error.what());
  }
  sequences.parse(batch, {});
}
