// Kernels of parsers. Examples are parsed in core/io/example.h; a parser is made when the kernel is prepared
// if the keys and defaults are known by then, else for each run.
#include <cctype>
#include <charconv>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>

#include "core/io/example.h"
#include "core/io/messages.h"
#include "core/kernels/number.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

void own_all(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
}

const std::vector<DType>& types(PrepareContext& c, const char* name) {
  return c.attr<std::vector<DType>>(name);
}
const std::vector<Shape>& shapes(PrepareContext& c, const char* name) {
  return c.attr<std::vector<Shape>>(name);
}
const std::vector<std::string>& texts(PrepareContext& c, const char* name) {
  return c.attr<std::vector<std::string>>(name);
}

// The value of an input: a constant when a kernel is prepared, or what there is when it runs.
using InputOf = std::function<Tensor(int)>;

// What a node says about its columns, but for what its inputs say.
Column dense_column(DType dtype, const Shape& shape) {
  if (shape.has_rank() && shape.rank() > 0 && shape[0] == kUnknown) {
    return {.key = {}, .dtype = dtype, .form = ColumnForm::padded, .shape = shape.slice(1)};
  }
  return {.key = {}, .dtype = dtype, .form = ColumnForm::fixed, .shape = shape};
}

std::vector<Column> columns_of(const std::vector<DType>& sparse, const std::vector<DType>& dense,
                               const std::vector<Shape>& dense_shapes) {
  std::vector<Column> columns;
  for (const DType dtype : sparse) columns.push_back({{}, dtype, ColumnForm::sparse});
  for (std::size_t i = 0; i < dense.size(); ++i) columns.push_back(dense_column(dense[i], dense_shapes[i]));
  return columns;
}

void set_default(Column& column, Tensor value) {
  // Without elements it is none, unless the feature has none either.
  if (value.size() > 0 || (column.form == ColumnForm::fixed && column.shape.size() == 0)) {
    column.otherwise = std::move(value);
  }
}

void set_keys(std::span<Column> columns, std::span<const std::string> keys) {
  require(keys.size() == columns.size(), "there are ", keys.size(), " keys for ", columns.size(),
          " features; give as many");
  for (std::size_t i = 0; i < keys.size(); ++i) columns[i].key = keys[i];
}

// Parts of the node's inputs that the columns are made of.
bool all_constant(PrepareContext& c, int begin, int end) {
  for (int i = begin; i < end; ++i) {
    if (!c.constant(i)) return false;
  }
  return true;
}

// Hands `use` a parser: one that was made once, if it could be, or one for this run.
template <class Parser>
class Prepared {
 public:
  Prepared(PrepareContext& c, int first_input, int last_input, std::function<Parser(const InputOf&)> make)
      : make_(std::move(make)) {
    if (all_constant(c, first_input, last_input)) {
      known_ = std::make_shared<Parser>(make_([&](int i) { return *c.constant(i); }));
    }
  }
  template <class Use>
  void operator()(RunContext& r, Use&& use) const {
    if (known_) return use(*known_);
    use(make_([&](int i) { return r.lent_tensor(i); }));
  }

 private:
  std::function<Parser(const InputOf&)> make_;
  std::shared_ptr<const Parser> known_;
};

// The memory of the values of the last batch, for the next one: where a batch is as large as the one before,
// and nobody holds that any more, no memory is made. A step that runs beside another finds nothing here.
class Former {
 public:
  template <class Parse>
  std::vector<ColumnValue> operator()(Parse&& parse) {
    std::vector<Tensor> memory = take();
    std::vector<ColumnValue> values = parse(std::span<Tensor>(memory));
    std::vector<Tensor> kept;
    for (const ColumnValue& value : values) kept.push_back(value.values);
    const std::lock_guard lock(mutex_);
    kept_ = std::move(kept);
    return values;
  }

 private:
  std::vector<Tensor> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(kept_, {});
  }
  std::mutex mutex_;
  std::vector<Tensor> kept_;
};

// Values in the order of the outputs: of sparse columns the indices, the values and the shapes, then the
// dense ones, then of ragged columns the values and the splits.
void put(RunContext& r, int& next, std::span<ColumnValue> values, std::size_t sparse, std::size_t dense) {
  const auto all = [&](std::span<ColumnValue> of, Tensor ColumnValue::*part) {
    for (ColumnValue& value : of) r.set_output(next++, std::move(value.*part));
  };
  for (const auto part : {&ColumnValue::indices, &ColumnValue::values, &ColumnValue::dense_shape}) {
    all(values.first(sparse), part);
  }
  all(values.subspan(sparse, dense), &ColumnValue::values);
  all(values.subspan(sparse + dense), &ColumnValue::values);
  all(values.subspan(sparse + dense), &ColumnValue::splits);
}

// Of the examples, in input 1.
std::size_t count_names(const PrepareContext& c, std::size_t examples) {
  const auto names = std::size_t(c.input_shape(1).size());
  require(names == 0 || names == examples, "there are ", names, " names for ", examples,
          " examples; give one for each, or none");
  return names;
}

std::unique_ptr<Kernel> prepare_example(PrepareContext& c) {
  own_all(c);
  const auto batch = std::size_t(c.input_shape(0).size()), names = count_names(c, batch);
  const auto& sparse = types(c, "sparse_types");
  const auto& dense = types(c, "Tdense");
  const std::vector<Column> columns = columns_of(sparse, dense, shapes(c, "dense_shapes"));
  const int keys = 2, defaults = keys + int(columns.size());
  Prepared<ExampleParser> parser(c, keys, c.num_inputs(), [=, dense = dense.size()](const InputOf& input) {
    std::vector<Column> made = columns;
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i].key = input(keys + int(i)).flat<std::string>()[0];
    }
    for (std::size_t i = 0; i < dense; ++i) {
      set_default(made[made.size() - dense + i], input(defaults + int(i)));
    }
    return ExampleParser(std::move(made));
  });
  return kernel(
      [=, sparse = sparse.size(), dense = dense.size(), former = std::make_shared<Former>()](RunContext& r) {
        parser(r, [&](const ExampleParser& with) {
          auto values = (*former)([&](std::span<Tensor> memory) {
            return with.parse({r.input<std::string>(0), batch}, {r.input<std::string>(1), names}, memory);
          });
          int next = 0;
          put(r, next, values, sparse, dense);
        });
      });
}

std::unique_ptr<Kernel> prepare_example_v2(PrepareContext& c) {
  own_all(c);
  const bool one = c.input_shape(0).rank() == 0;
  const auto batch = std::size_t(c.input_shape(0).size()), names = count_names(c, batch);
  const auto& sparse = types(c, "sparse_types");
  const auto& dense = types(c, "Tdense");
  std::vector<Column> columns = columns_of(sparse, dense, shapes(c, "dense_shapes"));
  for (std::size_t i = 0; i < types(c, "ragged_value_types").size(); ++i) {
    columns.push_back({.key = {},
                       .dtype = types(c, "ragged_value_types")[i],
                       .form = ColumnForm::ragged,
                       .splits = types(c, "ragged_split_types")[i]});
  }
  const int keys = 2, defaults = 5;
  Prepared<ExampleParser> parser(c, keys, c.num_inputs(),
                                 [=, sparse = sparse.size(), dense = dense.size()](const InputOf& input) {
                                   std::vector<Column> made = columns;
                                   const std::span<Column> all(made);
                                   set_keys(all.first(sparse), input(keys).flat<std::string>());
                                   set_keys(all.subspan(sparse, dense), input(keys + 1).flat<std::string>());
                                   set_keys(all.subspan(sparse + dense), input(keys + 2).flat<std::string>());
                                   for (std::size_t i = 0; i < dense; ++i)
                                     set_default(made[sparse + i], input(defaults + int(i)));
                                   return ExampleParser(std::move(made));
                                 });
  return kernel(
      [=, sparse = sparse.size(), dense = dense.size(), former = std::make_shared<Former>()](RunContext& r) {
        parser(r, [&](const ExampleParser& with) {
          const std::span examples(r.input<std::string>(0), batch);
          auto values = one ? with.parse_one(examples[0]) : (*former)([&](std::span<Tensor> memory) {
            return with.parse(examples, {r.input<std::string>(1), names}, memory);
          });
          if (one) {  // of one example, ragged features are plain vectors
            for (std::size_t i = sparse + dense; i < values.size(); ++i) {
              values[i].splits = Tensor(with.columns()[i].splits, Shape{0});
            }
          }
          int next = 0;
          put(r, next, values, sparse, dense);
        });
      });
}

std::unique_ptr<Kernel> prepare_single(PrepareContext& c) {
  own_all(c);
  const auto& sparse = types(c, "sparse_types");
  const auto& dense = types(c, "Tdense");
  std::vector<Column> columns = columns_of(sparse, dense, shapes(c, "dense_shapes"));
  set_keys(std::span(columns).first(sparse.size()), texts(c, "sparse_keys"));
  set_keys(std::span(columns).subspan(sparse.size()), texts(c, "dense_keys"));
  const int defaults = 1;
  Prepared<ExampleParser> parser(c, defaults, c.num_inputs(),
                                 [=, first = sparse.size()](const InputOf& input) {
                                   std::vector<Column> made = columns;
                                   for (std::size_t i = first; i < made.size(); ++i) {
                                     set_default(made[i], input(defaults + int(i - first)));
                                   }
                                   return ExampleParser(std::move(made));
                                 });
  return kernel([=, sparse = sparse.size(), dense = dense.size()](RunContext& r) {
    parser(r, [&](const ExampleParser& with) {
      auto values = with.parse_one(*r.input<std::string>(0));
      int next = 0;
      put(r, next, values, sparse, dense);
    });
  });
}

// ---- sequences

struct SequenceColumns {
  std::vector<Column> context, features;
  std::size_t context_sparse, features_sparse;

  explicit SequenceColumns(PrepareContext& c)
      : context(columns_of(types(c, "context_sparse_types"), types(c, "Tcontext_dense"),
                           shapes(c, "context_dense_shapes"))),
        features(columns_of(types(c, "feature_list_sparse_types"), types(c, "feature_list_dense_types"),
                            shapes(c, "feature_list_dense_shapes"))),
        context_sparse(types(c, "context_sparse_types").size()),
        features_sparse(types(c, "feature_list_sparse_types").size()) {
    for (const Column& column : features) {
      require(column.form != ColumnForm::padded,
              "a dense feature list has a shape with an unknown dimension; the steps of one list are padded, "
              "not the elements of a step");
    }
  }
};

void put(RunContext& r, SequenceParser::Value& value, const SequenceColumns& columns, bool lengths) {
  int next = 0;
  put(r, next, value.context, columns.context_sparse, columns.context.size() - columns.context_sparse);
  put(r, next, value.features, columns.features_sparse, columns.features.size() - columns.features_sparse);
  for (std::size_t i = columns.features_sparse; lengths && i < columns.features.size(); ++i) {
    r.set_output(next++, std::move(value.lengths[i]));
  }
}

std::unique_ptr<Kernel> prepare_sequence(PrepareContext& c) {
  own_all(c);
  const auto batch = std::size_t(c.input_shape(0).size()), names = count_names(c, batch);
  SequenceColumns columns(c);
  const auto set = [](std::vector<Column>& to, std::size_t sparse,
                      const std::vector<std::string>& sparse_keys,
                      const std::vector<std::string>& dense_keys) {
    set_keys(std::span(to).first(sparse), sparse_keys);
    set_keys(std::span(to).subspan(sparse), dense_keys);
  };
  set(columns.context, columns.context_sparse, texts(c, "context_sparse_keys"),
      texts(c, "context_dense_keys"));
  set(columns.features, columns.features_sparse, texts(c, "feature_list_sparse_keys"),
      texts(c, "feature_list_dense_keys"));
  const int defaults = 2;
  const auto may_be_missing = texts(c, "feature_list_dense_missing_assumed_empty");
  Prepared<SequenceParser> parser(c, defaults, c.num_inputs(), [=](const InputOf& input) {
    std::vector<Column> context = columns.context;
    for (std::size_t i = columns.context_sparse; i < context.size(); ++i) {
      set_default(context[i], input(defaults + int(i - columns.context_sparse)));
    }
    return SequenceParser(std::move(context), columns.features, may_be_missing);
  });
  return kernel([=](RunContext& r) {
    parser(r, [&](const SequenceParser& with) {
      auto value = with.parse({r.input<std::string>(0), batch}, {r.input<std::string>(1), names});
      put(r, value, columns, true);
    });
  });
}

std::unique_ptr<Kernel> prepare_single_sequence(PrepareContext& c) {
  own_all(c);
  const SequenceColumns columns(c);
  const int missing = 1, keys = 2, defaults = keys + int(columns.context.size() + columns.features.size());
  const int name = c.num_inputs() - 1;
  const bool named = c.input_shape(name).size() > 0;
  Prepared<SequenceParser> parser(c, missing, name, [=](const InputOf& input) {
    SequenceColumns made = columns;
    int next = keys;
    for (Column& column : made.context) column.key = input(next++).flat<std::string>()[0];
    for (Column& column : made.features) column.key = input(next++).flat<std::string>()[0];
    for (std::size_t i = made.context_sparse; i < made.context.size(); ++i) {
      set_default(made.context[i], input(defaults + int(i - made.context_sparse)));
    }
    return SequenceParser(std::move(made.context), std::move(made.features),
                          input(missing).flat<std::string>());
  });
  return kernel([=](RunContext& r) {
    parser(r, [&](const SequenceParser& with) {
      auto value =
          with.parse_one(*r.input<std::string>(0), named ? *r.input<std::string>(name) : std::string());
      put(r, value, columns, false);
    });
  });
}

// ---- bytes

// Copies `bytes` to `to`, turning elements of `width` bytes round if they have the other order.
void copy_raw(std::string_view bytes, char* to, std::size_t width, bool turn) {
  if (bytes.empty()) return;
  std::memcpy(to, bytes.data(), bytes.size());
  if (!turn || width == 1) return;
  for (std::size_t at = 0; at + width <= bytes.size(); at += width) std::reverse(to + at, to + at + width);
}

// Complex numbers are two numbers, each in its own order.
std::size_t number_width(DType dtype) { return size_of(dtype) / (is_complex(dtype) ? 2 : 1); }

std::unique_ptr<Kernel> prepare_raw(PrepareContext& c) {
  c.own_output(0);
  const DType dtype = c.attr<DType>("out_type");
  const bool turn = !c.attr<bool>("little_endian");
  const Shape shape = c.input_shape(0);
  return kernel([=, count = shape.size(), width = size_of(dtype)](RunContext& r) {
    const std::string* strings = r.input<std::string>(0);
    const std::size_t length = count ? strings[0].size() : 0;
    for (std::int64_t i = 1; i < count; ++i) {
      require(strings[i].size() == length, "string 0 has ", length, " bytes and string ", i, " has ",
              strings[i].size(), "; strings of one length become one tensor");
    }
    require(length % width == 0, "the strings have ", length, " bytes, expected a multiple of ", width,
            ", the bytes of a ", name_of(dtype));
    Tensor out(dtype, shape.concat(Shape{std::int64_t(length / width)}));
    for (std::int64_t i = 0; i < count; ++i) {
      char* to = static_cast<char*>(out.raw()) + std::size_t(i) * length;
      copy_raw(strings[i], to, number_width(dtype), turn);
      if (dtype == DType::boolean) std::transform(to, to + length, to, [](char byte) { return byte != 0; });
    }
    r.set_output(0, std::move(out));
  });
}

std::unique_ptr<Kernel> prepare_padded_raw(PrepareContext& c) {
  const DType dtype = c.attr<DType>("out_type");
  const bool turn = !c.attr<bool>("little_endian");
  const std::int64_t count = c.input_shape(0).size();
  const Shape& shape = c.output_shape(0);
  const std::size_t length = std::size_t(shape[-1]) * size_of(dtype);
  return kernel([=, width = number_width(dtype)](RunContext& r) {
    const std::string* strings = r.input<std::string>(0);
    for (std::int64_t i = 0; i < count; ++i) {
      // Padded before it is turned round: the bytes of a number that is half there stand at its front.
      std::string bytes = strings[i].substr(0, length);
      bytes.resize(length, '\0');
      copy_raw(bytes, r.output<char>(0) + std::size_t(i) * length, width, turn);
    }
  });
}

// ---- tables

// Takes fields off the front of a line, as RFC 4180 has them.
class CsvLine {
 public:
  CsvLine(std::string_view line, char delimiter, bool quotes)
      : rest_(line), delimiter_(delimiter), quotes_(quotes) {}

  bool more() const { return more_; }
  // The next field. What is quoted is put together in `storage`.
  std::string_view next(std::string& storage) {
    if (quotes_ && !rest_.empty() && rest_[0] == '"') return quoted(storage);
    const std::size_t end = std::min(rest_.find(delimiter_), rest_.size());
    const std::string_view field = rest_.substr(0, end);
    require(!quotes_ || field.find_first_of("\"\n\r") == field.npos, "the field '", field,
            "' has a quote or the end of a line in it; put such fields in quotes");
    leave(end);
    return field;
  }

 private:
  std::string_view quoted(std::string& storage) {
    storage.clear();
    std::size_t at = 1;
    for (;; ++at) {
      const std::size_t quote = rest_.find('"', at);
      require(quote != rest_.npos, "the field ", rest_, " has a quote at its front and none at its end");
      storage.append(rest_.substr(at, quote - at));
      at = quote + 1;
      if (at >= rest_.size() || rest_[at] != '"') break;
      storage.push_back('"');  // two of them stand for one
    }
    require(at == rest_.size() || rest_[at] == delimiter_, "the field ", rest_.substr(0, at),
            " goes on behind its last quote");
    leave(at);
    return storage;
  }
  void leave(std::size_t end) {
    more_ = end < rest_.size();
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
  }

  std::string_view rest_;
  char delimiter_;
  bool quotes_;
  bool more_ = true;
};

std::unique_ptr<Kernel> prepare_csv(PrepareContext& c) {
  own_all(c);
  const std::string& delimiter = c.attr<std::string>("field_delim");
  require(delimiter.size() == 1, "field_delim is '", delimiter, "', expected one character");
  const std::vector<DType> dtypes = types(c, "OUT_TYPE");
  std::vector<std::int64_t> selected = c.attr<std::vector<std::int64_t>>("select_cols");
  require(selected.empty() || selected.size() == dtypes.size(), "there are ", selected.size(),
          " select_cols and ", dtypes.size(), " record_defaults; give as many");
  const bool all = selected.empty();
  for (std::size_t i = 0; i < dtypes.size() && all; ++i) selected.push_back(std::int64_t(i));
  for (std::size_t i = 0; i < selected.size(); ++i) {
    require(selected[i] >= 0 && (i == 0 || selected[i] > selected[i - 1]),
            "select_cols must be numbers from 0 on, each larger than the one before");
  }
  std::vector<bool> has_default;
  for (int i = 1; i < c.num_inputs(); ++i) has_default.push_back(c.input_shape(i).size() > 0);
  return kernel([=, shape = c.input_shape(0), delimiter = delimiter[0],
                 quotes = c.attr<bool>("use_quote_delim"),
                 na_value = c.attr<std::string>("na_value")](RunContext& r) {
    const std::string* lines = r.input<std::string>(0);
    std::vector<Tensor> out;
    for (const DType dtype : dtypes) out.emplace_back(dtype, shape);
    const auto set = [&](std::size_t column, std::int64_t row, std::string_view field) {
      const int from = int(column) + 1;
      const bool missing = field.empty() || field == na_value;
      require(!missing || has_default[column], "it has no value, and record_defaults has none for it");
      if (missing) {
        copy_elements(dtypes[column], r.input<char>(from),
                      static_cast<char*>(out[column].raw()) + std::size_t(row) * size_of(dtypes[column]), 1);
      } else if (dtypes[column] == DType::string) {
        out[column].flat<std::string>()[std::size_t(row)] = field;
      } else {
        visit(Types<float, double, std::int32_t, std::int64_t>{}, dtypes[column],
              [&]<class T>(std::type_identity<T>) { out[column].data<T>()[row] = number_of<T>(field); });
      }
    };
    std::string storage;
    for (std::int64_t row = 0; row < shape.size(); ++row) {
      CsvLine line(lines[row], delimiter, quotes);
      std::int64_t column = 0;
      std::size_t next = 0;
      try {
        for (; line.more() && (all || next < selected.size()); ++column) {
          const std::string_view field = line.next(storage);
          if (next == selected.size()) {
            invalid("there are more fields than the ", selected.size(), " of record_defaults");
          }
          if (selected[next] == column) set(next++, row, field);
        }
        require(next == selected.size(), "the line ends, and record_defaults has ", selected.size(),
                " fields");
      } catch (const Error& error) {
        throw Error(error.code(), str("line ", row, ", field ", column, ": ", error.what()));
      }
    }
    for (std::size_t i = 0; i < out.size(); ++i) r.set_output(int(i), std::move(out[i]));
  });
}

// ---- tensors

std::unique_ptr<Kernel> prepare_parse_tensor(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("out_type")](RunContext& r) {
    Tensor tensor = from_tensor_proto(*r.input<std::string>(0));
    require(tensor.dtype() == dtype, "the message holds a ", name_of(tensor.dtype()), " tensor, out_type is ",
            name_of(dtype));
    r.set_output(0, std::move(tensor));
  });
}

std::unique_ptr<Kernel> prepare_serialize_tensor(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) { r.set_output(0, Tensor::scalar(to_tensor_proto(r.lent_tensor(0)))); });
}

}  // namespace

HEADRACE_KERNELS(parse) {
  add_kernel("ParseExample", prepare_example);
  add_kernel("ParseExampleV2", prepare_example_v2);
  add_kernel("ParseSingleExample", prepare_single);
  add_kernel("ParseSequenceExample", prepare_sequence);
  add_kernel("ParseSingleSequenceExample", prepare_single_sequence);
  add_kernel("DecodeRaw", prepare_raw);
  add_kernel("DecodePaddedRaw", prepare_padded_raw);
  add_kernel("DecodeCSV", prepare_csv);
  add_kernel("ParseTensor", prepare_parse_tensor);
  add_kernel("SerializeTensor", prepare_serialize_tensor);
}

}  // namespace headrace
