#include "core/io/example.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>

#include "core/base/parallel.h"
#include "core/io/wire.h"

namespace headrace {
namespace {

using wire::Kind;
using wire::Reader;

// Fields of schema/example.proto.
constexpr int kFeatures = 1, kContext = 1, kFeatureLists = 2, kEntry = 1, kKey = 1, kValue = 2, kElement = 1;
constexpr DType kDTypes[] = {DType::invalid, DType::string, DType::float32, DType::int64};  // by field

// Where a list stands: a BytesList, FloatList or Int64List message.
struct List {
  std::string_view bytes;
  std::int64_t count = -1;  // of its elements; -1 if there is no list
};

// Lists that stand in a message in pieces are brought together here.
class Joined {
 public:
  std::string_view keep(std::string bytes) {
    const std::lock_guard lock(mutex_);
    return kept_.emplace_back(std::move(bytes));
  }

 private:
  std::mutex mutex_;
  std::deque<std::string> kept_;
};

// ---- lists

const char* varint_end(const char* at, const char* end) {
  while (at < end && static_cast<signed char>(*at) < 0) ++at;
  return at;
}

std::int64_t count_varints(std::string_view packed) {
  require(packed.empty() || static_cast<signed char>(packed.back()) >= 0,
          "malformed message: it ends within a number");
  std::int64_t count = 0;
  for (const char byte : packed) count += static_cast<signed char>(byte) >= 0;
  return count;
}

std::int64_t count_of(DType dtype, std::string_view list) {
  std::int64_t count = 0;
  for (Reader in(list); in.next();) {
    if (in.field() != kElement) continue;
    if (dtype == DType::string || in.kind() != Kind::bytes) {
      const Kind kind = dtype == DType::string  ? Kind::bytes
                        : dtype == DType::int64 ? Kind::varint
                                                : Kind::fixed32;
      require(in.kind() == kind, "malformed message: an element has wire type ", int(in.kind()));
      ++count;
      continue;
    }
    const std::string_view packed = in.bytes();
    if (dtype == DType::int64) {
      count += count_varints(packed);
    } else {
      require(packed.size() % sizeof(float) == 0, "malformed message: it ends within a number");
      count += std::int64_t(packed.size() / sizeof(float));
    }
  }
  return count;
}

// `to` has room for the elements that count_of found.
void decode(std::string_view list, std::string* to) {
  for (Reader in(list); in.next();) {
    if (in.field() == kElement) (to++)->assign(in.bytes());
  }
}

void decode(std::string_view list, float* to) {
  for (Reader in(list); in.next();) {
    if (in.field() != kElement) continue;
    if (in.kind() == Kind::bytes) {
      const std::string_view packed = in.bytes();
      if (!packed.empty()) std::memcpy(to, packed.data(), packed.size());
      to += packed.size() / sizeof(float);
    } else {
      *to++ = in.real32();
    }
  }
}

void decode(std::string_view list, std::int64_t* to) {
  for (Reader in(list); in.next();) {
    if (in.field() != kElement) continue;
    if (in.kind() != Kind::bytes) {
      *to++ = in.integer();
      continue;
    }
    const std::string_view packed = in.bytes();
    for (const char *at = packed.data(), *end = at + packed.size(); at < end;) {
      std::uint64_t value = static_cast<unsigned char>(*at);
      if (value >= 0x80) {
        const char* const last = varint_end(at, end);  // there is one: the bytes were counted
        require(last - at < 10, "malformed message: a number is longer than 10 bytes");
        value = 0;
        for (const char* byte = last; byte >= at; --byte) value = value << 7 | (*byte & 0x7f);
        at = last;
      }
      *to++ = std::int64_t(value);
      ++at;
    }
  }
}

// The list in a Feature message, which must be of this dtype if it is of any.
List list_of(std::string_view feature, DType dtype, Joined& joined) {
  int field = 0;
  std::string_view bytes;
  bool again = false;
  for (Reader in(feature); in.next();) {
    if (in.field() < 1 || in.field() > 3) continue;
    again |= in.field() == field;
    if (in.field() != field) again = false;
    field = in.field();
    bytes = in.bytes();
  }
  if (field == 0) return {};
  if (kDTypes[field] != dtype) {
    invalid("it is of ", name_of(kDTypes[field]), ", expected ", name_of(dtype),
            "; change the dtype that is asked for");
  }
  if (again) {  // messages are merged by joining their bytes; another kind in between starts anew
    std::string all;
    for (Reader in(feature); in.next();) {
      if (in.field() < 1 || in.field() > 3) continue;
      if (in.field() == field)
        all += in.bytes();
      else
        all.clear();
    }
    bytes = joined.keep(std::move(all));
  }
  return {bytes, count_of(dtype, bytes)};
}

// ---- maps

struct MapEntry {
  std::string_view key, value;
};

MapEntry entry_of(std::string_view bytes) {
  MapEntry entry;
  for (Reader in(bytes); in.next();) {
    if (in.field() == kKey)
      entry.key = in.bytes();
    else if (in.field() == kValue)
      entry.value = in.bytes();
  }
  return entry;
}

// The columns of the keys that came last at each place: examples of a file mostly have them in one order.
struct Guess {
  std::string_view key;
  int column;
};

// Calls take(column, value) for each entry of the map that a column is made of. `Find` is the hash table.
template <class Find, class Take>
void walk_map(std::string_view map, std::vector<Guess>& guesses, std::size_t& place, Find&& find,
              Take&& take) {
  for (Reader in(map); in.next();) {
    if (in.field() != kEntry) continue;
    const MapEntry entry = entry_of(in.bytes());
    if (place == guesses.size()) guesses.push_back({entry.key, find(entry.key)});
    Guess& guess = guesses[place++];
    if (guess.key != entry.key) guess = {entry.key, find(entry.key)};
    if (guess.column >= 0) take(guess.column, entry.value);
  }
}

std::string label(std::size_t i, std::span<const std::string> names) {
  return i < names.size() && !names[i].empty() ? str("example ", i, " ('", names[i], "')")
                                               : str("example ", i);
}

// Calls body(i) for each example, in parallel, and says in errors which it was.
template <class Body>
void for_each_example(std::span<const std::string> examples, std::span<const std::string> names,
                      Body&& body) {
  std::size_t bytes = 0;
  for (const std::string& example : examples) bytes += example.size();
  const double cost = 50 + double(bytes) / double(std::max<std::size_t>(examples.size(), 1));
  parallel_for(std::int64_t(examples.size()), cost, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Guess> guesses;
    for (std::int64_t i = begin; i < end; ++i) {
      try {
        body(std::size_t(i), guesses);
      } catch (const Error& error) {
        throw Error(error.code(), str(label(std::size_t(i), names), ": ", error.what()));
      }
    }
  });
}

// ---- tensors

// One list with its place: an example's, or that of one step.
struct Row {
  List list;
  std::int64_t example = 0, step = 0;
};

// How the rows of a column are arranged: the sizes before the column's own, none for a single example.
struct Places {
  std::vector<std::int64_t> sizes;
  bool batch, steps;
  std::int64_t of(const Row& row) const {
    return batch && steps ? row.example * sizes[1] + row.step : batch ? row.example : steps ? row.step : 0;
  }
  std::int64_t size() const {
    std::int64_t size = 1;
    for (const std::int64_t n : sizes) size = checked_mul(size, n);
    return size;
  }
};

double cost_of(std::span<const Row> rows) {
  std::size_t bytes = 0;
  for (const Row& row : rows) bytes += row.list.bytes.size();
  return 30 + 0.5 * double(bytes) / double(std::max<std::size_t>(rows.size(), 1));
}

Shape leading(const Places& places, const Shape& shape) { return Shape(places.sizes).concat(shape); }

// Memory that held the values of another batch, if nobody does now: filling fresh memory takes longer.
Tensor reused(Tensor former, DType dtype, Shape shape) {
  const bool fits = former && former.dtype() == dtype && former.shape() == shape && former.unique();
  return fits ? former : Tensor(dtype, std::move(shape));
}

template <class T>
Tensor fixed_values(const Column& column, std::span<const Row> rows, const Places& places,
                    std::span<const std::string> names, Tensor former) {
  const std::int64_t width = column.shape.size();
  for (const Row& row : rows) {
    if (row.list.count == width || (row.list.count < 0 && column.otherwise)) continue;
    const std::string where = places.steps ? str(", step ", row.step) : std::string();
    const std::string what =
        str(label(std::size_t(row.example), names), ": feature '", column.key, "'", where);
    if (row.list.count < 0) invalid(what, " is missing; give it a default_value");
    invalid(what, " has ", row.list.count, " elements, expected ", width, ", which is the shape ",
            column.shape);
  }
  Tensor tensor = reused(std::move(former), column.dtype, leading(places, column.shape));
  T* const to = tensor.data<T>();
  if (std::int64_t(rows.size()) < places.size()) std::fill(to, to + tensor.size(), T());
  parallel_for(std::int64_t(rows.size()), cost_of(rows), [&](std::int64_t begin, std::int64_t end) {
    for (const Row& row : rows.subspan(std::size_t(begin), std::size_t(end - begin))) {
      T* const at = to + places.of(row) * width;
      if (row.list.count < 0)
        std::copy_n(column.otherwise.data<T>(), width, at);
      else
        decode(row.list.bytes, at);
    }
  });
  return tensor;
}

template <class T>
Tensor padded_values(const Column& column, std::span<const Row> rows, const Places& places,
                     std::span<const std::string> names, Tensor former) {
  const std::int64_t width = column.shape.size();
  std::int64_t longest = 0;
  for (const Row& row : rows) {
    const std::int64_t count = std::max<std::int64_t>(row.list.count, 0);
    require(width ? count % width == 0 : count == 0, label(std::size_t(row.example), names), ": feature '",
            column.key, "' has ", count, " elements, expected a multiple of ", width,
            ", since its rows have the shape ", column.shape);
    longest = std::max(longest, width ? count / width : 0);
  }
  Tensor tensor =
      reused(std::move(former), column.dtype, leading(places, Shape{longest}.concat(column.shape)));
  T* const to = tensor.data<T>();
  const std::int64_t all = checked_mul(longest, width);
  const T padding = column.otherwise ? column.otherwise.data<T>()[0] : T();
  parallel_for(std::int64_t(rows.size()), cost_of(rows), [&](std::int64_t begin, std::int64_t end) {
    for (const Row& row : rows.subspan(std::size_t(begin), std::size_t(end - begin))) {
      T* const at = to + places.of(row) * all;
      const std::int64_t count = std::max<std::int64_t>(row.list.count, 0);
      if (count) decode(row.list.bytes, at);
      std::fill(at + count, at + all, padding);
    }
  });
  return tensor;
}

// Where each row's elements begin in the values of all, and behind that how many there are.
std::vector<std::int64_t> starts_of(std::span<const Row> rows) {
  std::vector<std::int64_t> starts(rows.size() + 1, 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    starts[i + 1] = starts[i] + std::max<std::int64_t>(rows[i].list.count, 0);
  }
  return starts;
}

template <class T>
Tensor joined_values(const Column& column, std::span<const Row> rows,
                     const std::vector<std::int64_t>& starts) {
  Tensor tensor(column.dtype, Shape{starts.back()});
  T* const to = tensor.data<T>();
  parallel_for(std::int64_t(rows.size()), cost_of(rows), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Row& row = rows[std::size_t(i)];
      if (row.list.count > 0) decode(row.list.bytes, to + starts[std::size_t(i)]);
    }
  });
  return tensor;
}

void add_indices(ColumnValue& value, std::span<const Row> rows, const std::vector<std::int64_t>& starts,
                 const Places& places) {
  const std::int64_t rank = std::int64_t(places.sizes.size()) + 1;
  value.indices = Tensor(DType::int64, Shape{starts.back(), rank});
  std::int64_t* to = value.indices.data<std::int64_t>();
  std::int64_t longest = 0;
  for (const Row& row : rows) {
    longest = std::max(longest, row.list.count);
    for (std::int64_t i = 0; i < row.list.count; ++i) {
      if (places.batch) *to++ = row.example;
      if (places.steps) *to++ = row.step;
      *to++ = i;
    }
  }
  std::vector<std::int64_t> shape = places.sizes;
  shape.push_back(longest);
  value.dense_shape = Tensor::vector(std::span<const std::int64_t>(shape));
}

void add_splits(ColumnValue& value, const Column& column, const std::vector<std::int64_t>& starts) {
  value.splits = Tensor(column.splits, Shape{std::int64_t(starts.size())});
  visit(IndexTypes{}, column.splits, [&]<class T>(std::type_identity<T>) {
    require(starts.back() <= std::int64_t(std::numeric_limits<T>::max()), "feature '", column.key, "' has ",
            starts.back(), " elements, too many for row splits of ", name_of(column.splits));
    std::copy(starts.begin(), starts.end(), value.splits.data<T>());
  });
}

ColumnValue value_of(const Column& column, std::span<const Row> rows, const Places& places,
                     std::span<const std::string> names, Tensor former = {}) {
  ColumnValue value;
  const auto make = [&]<class T>(std::type_identity<T>) {
    switch (column.form) {
      case ColumnForm::fixed:
        value.values = fixed_values<T>(column, rows, places, names, std::move(former));
        return;
      case ColumnForm::padded:
        value.values = padded_values<T>(column, rows, places, names, std::move(former));
        return;
      default:
        const std::vector<std::int64_t> starts = starts_of(rows);
        value.values = joined_values<T>(column, rows, starts);
        if (column.form == ColumnForm::sparse)
          add_indices(value, rows, starts, places);
        else
          add_splits(value, column, starts);
    }
  };
  visit(Types<float, std::int64_t, std::string>{}, column.dtype, make);
  return value;
}

// What is thrown about one feature names it.
template <class Body>
void in_feature(const std::string& key, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    throw Error(error.code(), str("feature '", key, "': ", error.what()));
  }
}

}  // namespace

// ---- examples

ExampleParser::ExampleParser(std::vector<Column> columns)
    : columns_(std::move(columns)),
      next_(columns_.size(), -1),
      slots_(std::bit_ceil(2 * columns_.size() + 1), Slot{{}, -1}) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const Shape& shape = column.shape;
    if (column.dtype != DType::float32 && column.dtype != DType::int64 && column.dtype != DType::string) {
      throw DTypeError(str("feature '", column.key, "' is asked for as ", name_of(column.dtype),
                           ", expected float32, int64 or string; cast it afterwards"));
    }
    require(shape.is_full(), "feature '", column.key, "' has the shape ", shape,
            "; only its first dimension may be unknown");
    if (column.otherwise) {
      const std::int64_t wanted = column.form == ColumnForm::padded ? 1 : shape.size();
      require(column.otherwise.dtype() == column.dtype, "the default of feature '", column.key, "' is ",
              name_of(column.otherwise.dtype()), ", the feature ", name_of(column.dtype));
      require(column.otherwise.size() == wanted, "the default of feature '", column.key, "' has ",
              column.otherwise.size(), " elements, expected ", wanted);
    }
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = std::hash<std::string_view>()(column.key) & mask;
    while (slots_[at].column >= 0 && slots_[at].key != column.key) at = (at + 1) & mask;
    next_[i] = slots_[at].column;
    slots_[at] = {column.key, int(i)};
  }
}

int ExampleParser::find(std::string_view key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = std::hash<std::string_view>()(key) & mask;
  while (slots_[at].column >= 0 && slots_[at].key != key) at = (at + 1) & mask;
  return slots_[at].column;
}

namespace {

// The rows of each column, one for each example, out of the field `field` (Features) of the messages.
template <class Find>
std::vector<std::vector<Row>> rows_of(std::span<const Column> columns, std::span<const int> next, Find&& find,
                                      int field, std::span<const std::string> examples,
                                      std::span<const std::string> names, Joined& joined) {
  std::vector<std::vector<Row>> rows(columns.size(), std::vector<Row>(examples.size()));
  for_each_example(examples, names, [&](std::size_t i, std::vector<Guess>& guesses) {
    for (std::vector<Row>& of : rows) of[i].example = std::int64_t(i);
    std::size_t place = 0;
    for (Reader in(examples[i]); in.next();) {
      if (in.field() != field) continue;
      walk_map(in.bytes(), guesses, place, find, [&](int column, std::string_view feature) {
        for (; column >= 0; column = next[std::size_t(column)]) {
          const Column& wanted = columns[std::size_t(column)];
          in_feature(wanted.key,
                     [&] { rows[std::size_t(column)][i].list = list_of(feature, wanted.dtype, joined); });
        }
      });
    }
  });
  return rows;
}

}  // namespace

std::vector<ColumnValue> ExampleParser::parse_all(int field, std::span<const std::string> examples,
                                                  std::span<const std::string> names, bool one,
                                                  std::span<Tensor> former) const {
  Joined joined;
  const auto rows = rows_of(
      columns_, next_, [&](std::string_view key) { return find(key); }, field, examples, names, joined);
  Places places{{}, !one, false};
  if (!one) places.sizes.push_back(std::int64_t(examples.size()));
  std::vector<ColumnValue> values;
  values.reserve(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    values.push_back(
        value_of(columns_[i], rows[i], places, names, i < former.size() ? std::move(former[i]) : Tensor()));
  }
  return values;
}

std::vector<ColumnValue> ExampleParser::parse(std::span<const std::string> examples,
                                              std::span<const std::string> names,
                                              std::span<Tensor> former) const {
  return parse_all(kFeatures, examples, names, false, former);
}

std::vector<ColumnValue> ExampleParser::parse_one(const std::string& example) const {
  return parse_all(kFeatures, {&example, 1}, {}, true);
}

// ---- sequence examples

SequenceParser::SequenceParser(std::vector<Column> context, std::vector<Column> features,
                               std::span<const std::string> may_be_missing)
    : context_(std::move(context)), features_(std::move(features)) {
  for (const Column& column : features_.columns()) {
    required_.push_back(column.form == ColumnForm::fixed &&
                        std::find(may_be_missing.begin(), may_be_missing.end(), column.key) ==
                            may_be_missing.end());
  }
}

SequenceParser::Value SequenceParser::parse(std::span<const std::string> examples,
                                            std::span<const std::string> names) const {
  return parse_all(examples, names, false);
}

SequenceParser::Value SequenceParser::parse_one(const std::string& example, const std::string& name) const {
  return parse_all({&example, 1}, {&name, 1}, true);
}

SequenceParser::Value SequenceParser::parse_all(std::span<const std::string> examples,
                                                std::span<const std::string> names, bool one) const {
  Value value;
  value.context = context_.parse_all(kContext, examples, names, one);

  // The lists of all steps, by column and example.
  const std::span<const Column> columns = features_.columns();
  const std::size_t count = examples.size();
  std::vector<std::vector<List>> steps(columns.size() * count);
  Joined joined;
  for_each_example(examples, names, [&](std::size_t i, std::vector<Guess>& guesses) {
    std::size_t place = 0;
    std::vector<bool> seen(columns.size(), false);
    const auto find = [&](std::string_view key) { return features_.find(key); };
    const auto take = [&](int column, std::string_view list) {
      for (; column >= 0; column = features_.next_[std::size_t(column)]) {
        const Column& wanted = columns[std::size_t(column)];
        std::vector<List>& of = steps[std::size_t(column) * count + i];
        of.clear();
        seen[std::size_t(column)] = true;
        in_feature(wanted.key, [&] {
          for (Reader in(list); in.next();) {
            if (in.field() == kElement) of.push_back(list_of(in.bytes(), wanted.dtype, joined));
          }
        });
      }
    };
    for (Reader in(examples[i]); in.next();) {
      if (in.field() == kFeatureLists) walk_map(in.bytes(), guesses, place, find, take);
    }
    for (std::size_t k = 0; k < columns.size(); ++k) {
      require(seen[k] || !required_[k], "feature list '", columns[k].key,
              "' is missing; if it may be, say so with allow_missing=True");
    }
  });

  for (std::size_t k = 0; k < columns.size(); ++k) {
    const std::span<const std::vector<List>> of(steps.data() + k * count, count);
    std::vector<Row> rows;
    std::vector<std::int64_t> lengths;
    std::int64_t longest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      lengths.push_back(std::int64_t(of[i].size()));
      longest = std::max(longest, lengths.back());
      for (std::size_t t = 0; t < of[i].size(); ++t)
        rows.push_back({of[i][t], std::int64_t(i), std::int64_t(t)});
    }
    Places places{{}, !one, true};
    if (!one) places.sizes.push_back(std::int64_t(count));
    places.sizes.push_back(longest);
    value.features.push_back(value_of(columns[k], rows, places, names));
    value.lengths.push_back(Tensor::vector(std::span<const std::int64_t>(lengths)));
  }
  return value;
}

}  // namespace headrace
