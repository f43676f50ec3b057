// Kernels of tables.
//
// A table keeps its keys and its values in two tensors that grow, and remembers the row of each key. Many may
// look up at once; who changes it is alone.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <shared_mutex>
#include <unordered_map>

#include "core/io/file.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

enum class Kind { fixed, changing };

class Table final : public Resource {
 public:
  Table(Kind kind, std::string name, DType key, DType value, Shape value_shape)
      : kind(kind),
        key_dtype(key),
        value_dtype(value),
        value_shape(std::move(value_shape)),
        name_(std::move(name)),
        keys_(key, Shape{0}),
        values_(value, Shape{0}.concat(this->value_shape)) {}

  const Kind kind;
  const DType key_dtype, value_dtype;
  const Shape value_shape;

  std::string describe() const override {
    return str(kind == Kind::fixed ? "table '" : "changing table '", name_, "' of ", name_of(key_dtype),
               " keys and ", name_of(value_dtype), " values");
  }

  Tensor find(const Tensor& keys, const Tensor& otherwise) const {
    check(keys.dtype(), otherwise.dtype());
    require(otherwise.shape() == value_shape, "default_value has shape ", otherwise.shape(), ", ", describe(),
            " has values of shape ", value_shape);
    Tensor found(value_dtype, keys.shape().concat(value_shape));
    std::shared_lock lock(mutex_);
    require_filled(Code::failed_precondition);
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const auto at = row_of_.find(key_bytes(keys, i));
      const void* from = at == row_of_.end() ? otherwise.raw() : value(values_, at->second);
      copy_elements(value_dtype, from, value(found, i), value_size());
    }
    return found;
  }

  void insert(const Tensor& keys, const Tensor& values) {
    check(keys.dtype(), values.dtype());
    std::lock_guard lock(mutex_);
    require_changing();
    check_shapes(keys, values);
    for (std::int64_t i = 0; i < keys.size(); ++i) put(keys, values, i);
  }

  void remove(const Tensor& keys) {
    check(keys.dtype(), value_dtype);
    std::lock_guard lock(mutex_);
    require_changing();
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const auto at = row_of_.find(key_bytes(keys, i));
      if (at == row_of_.end()) continue;
      // The last row moves to the gap.
      const std::int64_t gap = at->second, last = std::int64_t(row_of_.size()) - 1;
      row_of_.erase(at);
      if (gap == last) continue;
      row_of_[key_bytes(keys_, last)] = gap;
      copy_elements(key_dtype, key(keys_, last), key(keys_, gap), 1);
      copy_elements(value_dtype, value(values_, last), value(values_, gap), value_size());
    }
  }

  // Fills a fixed table, or replaces all that is in a changing one.
  void import(const Tensor& keys, const Tensor& values) {
    check(keys.dtype(), values.dtype());
    std::lock_guard lock(mutex_);
    check_shapes(keys, values);
    if (kind == Kind::changing) {
      row_of_.clear();
      for (std::int64_t i = 0; i < keys.size(); ++i) put(keys, values, i);
      return;
    }
    Table other(kind, name_, key_dtype, value_dtype, value_shape);
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const auto at = other.row_of_.find(key_bytes(keys, i));
      if (at == other.row_of_.end()) {
        other.put(keys, values, i);
      } else {
        require(same_value(value(other.values_, at->second), value(values, i)), "keys[", i,
                "] is there twice, with different values");
      }
    }
    if (filled_) {
      if (!same_entries(other)) {
        fail(Code::failed_precondition, describe(), " is filled already, with other keys or values");
      }
      return;
    }
    std::swap(row_of_, other.row_of_);
    std::swap(keys_, other.keys_);
    std::swap(values_, other.values_);
    filled_ = true;
  }

  std::int64_t size() const {
    std::shared_lock lock(mutex_);
    return std::int64_t(row_of_.size());
  }

  std::pair<Tensor, Tensor> entries() const {
    std::shared_lock lock(mutex_);
    require_filled(Code::aborted);
    return {head(keys_), head(values_)};
  }

  void check(DType keys, DType values) const {
    if (keys == key_dtype && values == value_dtype) return;
    throw DTypeError(
        str(describe(), " is used with ", name_of(keys), " keys and ", name_of(values), " values"));
  }

 private:
  std::int64_t value_size() const { return value_shape.size(); }
  void* key(const Tensor& keys, std::int64_t row) const {
    return static_cast<char*>(keys.raw()) + std::size_t(row) * size_of(key_dtype);
  }
  void* value(const Tensor& values, std::int64_t row) const {
    return static_cast<char*>(values.raw()) + std::size_t(row * value_size()) * size_of(value_dtype);
  }
  std::string key_bytes(const Tensor& keys, std::int64_t row) const {
    if (key_dtype == DType::string) return keys.data<std::string>()[row];
    return std::string(static_cast<const char*>(key(keys, row)), size_of(key_dtype));
  }
  bool same_value(const void* a, const void* b) const {
    if (value_dtype != DType::string)
      return std::memcmp(a, b, std::size_t(value_size()) * size_of(value_dtype)) == 0;
    const auto* x = static_cast<const std::string*>(a);
    return std::equal(x, x + value_size(), static_cast<const std::string*>(b));
  }
  bool same_entries(const Table& other) const {
    return row_of_.size() == other.row_of_.size() &&
           std::all_of(row_of_.begin(), row_of_.end(), [&](const auto& entry) {
             const auto at = other.row_of_.find(entry.first);
             return at != other.row_of_.end() &&
                    same_value(value(values_, entry.second), value(other.values_, at->second));
           });
  }
  void require_filled(Code code) const {
    if (kind == Kind::fixed && !filled_)
      fail(code, describe(), " is not filled yet; run tables_initializer() first");
  }
  void require_changing() const {
    if (kind == Kind::fixed)
      fail(Code::unimplemented, describe(), " cannot be changed; use a MutableHashTable");
  }
  void check_shapes(const Tensor& keys, const Tensor& values) const {
    require(values.shape() == keys.shape().concat(value_shape), "keys has shape ", keys.shape(),
            " and values ", values.shape(), "; values must have shape ", keys.shape().concat(value_shape));
  }
  void put(const Tensor& keys, const Tensor& values, std::int64_t i) {
    const auto [at, added] = row_of_.try_emplace(key_bytes(keys, i), std::int64_t(row_of_.size()));
    const std::int64_t row = at->second;
    if (row >= keys_.size()) grow();
    if (added) copy_elements(key_dtype, key(keys, i), key(keys_, row), 1);
    copy_elements(value_dtype, value(values, i), value(values_, row), value_size());
  }
  void grow() {
    const std::int64_t old = keys_.size(), rows = std::max<std::int64_t>(16, 2 * old);
    Tensor keys(key_dtype, Shape{rows}), values(value_dtype, Shape{rows}.concat(value_shape));
    copy_elements(key_dtype, keys_.raw(), keys.raw(), old);
    copy_elements(value_dtype, values_.raw(), values.raw(), old * value_size());
    keys_ = std::move(keys);
    values_ = std::move(values);
  }
  // The rows in use, copied.
  Tensor head(const Tensor& all) const {
    Tensor used(all.dtype(), Shape{std::int64_t(row_of_.size())}.concat(all.shape().slice(1)));
    copy_elements(all.dtype(), all.raw(), used.raw(), used.size());
    return used;
  }

  const std::string name_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, std::int64_t> row_of_;
  Tensor keys_, values_;  // with room for more rows than are in use
  bool filled_ = false;
};

template <Kind kind>
std::unique_ptr<Kernel> prepare_table(PrepareContext& c) {
  const std::string& shared = c.attr<std::string>("shared_name");
  const std::string& name = shared.empty() ? c.node().name() : shared;
  const DType key = c.attr<DType>("key_dtype"), value = c.attr<DType>("value_dtype");
  const bool counts = visit(IntegerTypes{}, key, []<class T>(std::type_identity<T>) {});
  if (!counts && key != DType::string && key != DType::boolean) return nullptr;
  if (!is_plain(value) && value != DType::string) return nullptr;
  const Shape shape = c.node().attr_or("value_shape", Shape());
  require(shape.is_full(), "value_shape is ", shape, "; it has to be known");
  auto table = c.resources().find_or_create<Table>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<Table>(kind, name, key, value, shape);
  });
  table->check(key, value);
  require(table->kind == kind && table->value_shape == shape, "there is ", table->describe(),
          " already, of another kind or shape; give one of them another shared_name");
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(table))));
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_find(PrepareContext& c) {
  c.own_output(0);
  return kernel(
      [](RunContext& r) { r.set_output(0, r.resource<Table>(0).find(r.lent_tensor(1), r.lent_tensor(2))); });
}

std::unique_ptr<Kernel> prepare_insert(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Table>(0).insert(r.lent_tensor(1), r.lent_tensor(2)); });
}

std::unique_ptr<Kernel> prepare_import(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Table>(0).import(r.lent_tensor(1), r.lent_tensor(2)); });
}

// ---- files of text

// Where in a file a key or a value stands: a column, counted from 0, or one of these.
constexpr std::int64_t kLineNumber = -1, kWholeLine = -2;

struct TextColumn {
  std::int64_t index;
  std::int64_t first_number;  // of lines
  char delimiter;

  void check(const char* what, DType dtype) const {
    const bool fits = index == kWholeLine    ? dtype == DType::string
                      : index == kLineNumber ? dtype == DType::int64
                                             : dtype == DType::string || visit(Numbers{}, dtype, [](auto) {});
    require(fits, what, "s are ", name_of(dtype), ", but ", what, "_index ", index, " is ",
            index == kWholeLine    ? "the whole line, a string"
            : index == kLineNumber ? "the number of the line, an int64"
                                   : "a column of strings or numbers");
  }

  void read(std::string_view line, std::int64_t number, Tensor& to) const {
    std::string_view text = line;
    if (index == kLineNumber) {
      to.data<std::int64_t>()[number] = first_number + number;
      return;
    }
    for (std::int64_t left = index; left > 0; --left) {
      const std::size_t end = text.find(delimiter);
      require(end != text.npos, "it has ", index - left + 1, " columns, and column ", index, " is asked for");
      text.remove_prefix(end + 1);
    }
    if (index >= 0) text = text.substr(0, text.find(delimiter));
    if (to.dtype() == DType::string) {
      to.data<std::string>()[number] = text;
      return;
    }
    visit(Numbers{}, to.dtype(), [&]<class T>(std::type_identity<T>) {
      const char* const end = text.data() + text.size();
      const auto [at, error] = std::from_chars(text.data(), end, to.data<T>()[number]);
      require(error == std::errc() && at == end, "'", text, "' is no ", name_of(to.dtype()));
    });
  }

  using Numbers = Types<std::int32_t, std::int64_t, float, double>;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (lines.back().ends_with('\r')) lines.back().remove_suffix(1);
    text.remove_prefix(std::min(text.size(), end == text.npos ? end : end + 1));
  }
  return lines;
}

std::unique_ptr<Kernel> prepare_import_text(PrepareContext& c) {
  const std::string& delimiter = c.attr<std::string>("delimiter");
  require(delimiter.size() == 1, "delimiter is '", delimiter, "'; it must be one byte");
  const std::int64_t first = c.attr<std::int64_t>("offset"), most = c.attr<std::int64_t>("vocab_size");
  require(most == -1 || most > 0, "vocab_size is ", most, "; it must be positive, or -1 for all lines");
  const TextColumn key{c.attr<std::int64_t>("key_index"), first, delimiter[0]};
  const TextColumn value{c.attr<std::int64_t>("value_index"), first, delimiter[0]};
  return kernel([=](RunContext& r) {
    Table& table = r.resource<Table>(0);
    const std::string& path = *r.input<std::string>(1);
    key.check("key", table.key_dtype);
    value.check("value", table.value_dtype);
    require(table.value_shape.rank() == 0, table.describe(), " has values of shape ", table.value_shape,
            "; a file of text fills tables of scalars");
    const std::string text = read_file(path);
    std::vector<std::string_view> lines = lines_of(text);
    const auto count = std::int64_t(lines.size());
    require(most == -1 || count >= most, "the file '", path, "' has ", count, " lines, vocab_size is ", most);
    if (most != -1) lines.resize(std::size_t(most));
    const Shape shape{std::int64_t(lines.size())};
    Tensor keys(table.key_dtype, shape), values(table.value_dtype, shape);
    for (std::int64_t i = 0; i < shape[0]; ++i) {
      try {
        key.read(lines[std::size_t(i)], i, keys);
        value.read(lines[std::size_t(i)], i, values);
      } catch (const Error& error) {
        throw Error(error.code(), str("line ", i + 1, " of the file '", path, "': ", error.what()));
      }
    }
    table.import(keys, values);
  });
}

std::unique_ptr<Kernel> prepare_remove(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Table>(0).remove(r.lent_tensor(1)); });
}

std::unique_ptr<Kernel> prepare_size(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<std::int64_t>(0) = r.resource<Table>(0).size(); });
}

std::unique_ptr<Kernel> prepare_export(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([keys = c.output_dtype(0), values = c.output_dtype(1)](RunContext& r) {
    const Table& table = r.resource<Table>(0);
    table.check(keys, values);
    auto [all_keys, all_values] = table.entries();
    r.set_output(0, std::move(all_keys));
    r.set_output(1, std::move(all_values));
  });
}

}  // namespace

HEADRACE_KERNELS(table) {
  add_kernel("HashTableV2", prepare_table<Kind::fixed>);
  add_kernel("MutableHashTableV2", prepare_table<Kind::changing>);
  add_kernel("MutableHashTableOfTensorsV2", prepare_table<Kind::changing>);
  add_kernel("LookupTableFindV2", prepare_find);
  add_kernel("LookupTableInsertV2", prepare_insert);
  add_kernel("LookupTableImportV2", prepare_import);
  add_kernel("InitializeTableV2", prepare_import);
  add_kernel("InitializeTableFromTextFileV2", prepare_import_text);
  add_kernel("LookupTableRemoveV2", prepare_remove);
  add_kernel("LookupTableSizeV2", prepare_size);
  add_kernel("LookupTableExportV2", prepare_export);
}

}  // namespace headrace
