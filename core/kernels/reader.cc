// Kernels of readers.
//
// A reader is a file that is open and a place in it. Those that ask it for a piece stand in line: one waits
// for the next name of a file, if need be, while the others wait for it.
#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>

#include "core/io/file.h"
#include "core/io/inflate.h"
#include "core/io/records.h"
#include "core/io/wire.h"
#include "core/kernels/queue.h"
#include "core/kernels/waking.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

constexpr std::size_t kPiece = 1 << 18;  // bytes that are read at once

struct Piece {
  std::string key, value;
};

// The pieces of one file.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::optional<Piece> next() = 0;  // nothing at the end
};

using Open = std::function<std::unique_ptr<Source>(const std::string& name)>;

// A file from front to back, expanded if it is compressed.
class Stream {
 public:
  explicit Stream(const std::string& path, std::optional<Container> container = {})
      : file_(File::to_read(path)), left_(file_.size()) {
    if (container) inflater_.emplace(path, *container, [this] { return read_file(); });
  }
  Stream(const Stream&) = delete;  // the inflater reads it
  const std::string& path() const { return file_.path(); }
  // The next bytes, none at the end; they are valid until the next call.
  std::string_view read() { return inflater_ ? inflater_->read() : read_file(); }

 private:
  std::string_view read_file() {
    buffer_.resize(std::size_t(std::min<std::uint64_t>(kPiece, left_)));
    file_.read(buffer_.data(), buffer_.size(), at_);
    at_ += buffer_.size();
    left_ -= buffer_.size();
    return buffer_;
  }

  File file_;
  std::uint64_t at_ = 0, left_;
  std::string buffer_;
  std::optional<Inflater> inflater_;
};

class Lines final : public Source {
 public:
  Lines(const std::string& name, std::int64_t skipped) : stream_(name) {
    for (; skipped > 0 && line(); --skipped) {
    }
  }
  std::optional<Piece> next() override {
    std::optional<std::string> text = line();
    if (!text) return std::nullopt;
    return Piece{str(stream_.path(), ':', number_), std::move(*text)};
  }

 private:
  std::optional<std::string> line() {
    std::string text;
    bool is_line = false;
    while (true) {
      if (rest_.empty()) rest_ = stream_.read();
      if (rest_.empty()) break;
      is_line = true;
      const std::size_t end = rest_.find('\n');
      text.append(rest_.substr(0, end));
      if (end == std::string_view::npos) {
        rest_ = {};
        continue;
      }
      rest_.remove_prefix(end + 1);
      break;
    }
    if (!is_line) return std::nullopt;
    ++number_;
    std::erase(text, '\r');
    return text;
  }

  Stream stream_;
  std::string_view rest_;
  std::int64_t number_ = 0;  // of the line that came last, from 1
};

struct RecordLayout {
  std::int64_t header, record, footer, hop;
};

class FixedRecords final : public Source {
 public:
  // What is compressed is expanded to memory: only then it is known where its footer begins.
  FixedRecords(const std::string& name, RecordLayout layout, std::optional<Container> container)
      : file_(File::to_read(name)), layout_(layout) {
    if (container) {
      Stream stream(name, container);
      expanded_.emplace();
      for (std::string_view piece; !(piece = stream.read()).empty();) expanded_->append(piece);
    }
    const std::uint64_t size = expanded_ ? expanded_->size() : file_.size();
    const std::int64_t body = std::int64_t(size) - layout.header - layout.footer;
    require(body >= 0, "the file '", name, "' has ", size, " bytes, fewer than its header of ", layout.header,
            " and its footer of ", layout.footer);
    require(body % layout.hop == 0 || layout.hop != layout.record, "the file '", name, "' has ", body,
            " bytes of records, which is no multiple of record_bytes, ", layout.record);
    count_ = body < layout.record ? 0 : (body - layout.record) / layout.hop + 1;
  }
  std::optional<Piece> next() override {
    if (number_ == count_) return std::nullopt;
    Piece piece{str(file_.path(), ':', number_), std::string(std::size_t(layout_.record), '\0')};
    const auto at = std::uint64_t(layout_.header + number_ * layout_.hop);
    if (expanded_)
      expanded_->copy(piece.value.data(), piece.value.size(), std::size_t(at));
    else
      file_.read(piece.value.data(), piece.value.size(), at);
    ++number_;
    return piece;
  }

 private:
  File file_;
  std::optional<std::string> expanded_;
  RecordLayout layout_;
  std::int64_t count_, number_ = 0;
};

class CheckedRecords final : public Source {
 public:
  CheckedRecords(const std::string& name, std::optional<Container> container)
      : stream_(name, container), parser_(name) {}
  std::optional<Piece> next() override {
    while (records_.empty()) {
      const std::string_view piece = stream_.read();
      if (piece.empty()) {
        parser_.finish();
        return std::nullopt;
      }
      for (std::string& record : parser_.feed(piece)) records_.push_back(std::move(record));
    }
    Piece piece{str(stream_.path(), ':', offset_), std::move(records_.front())};
    records_.pop_front();
    offset_ += piece.value.size() + 16;  // with its length and its checksums
    return piece;
  }

 private:
  Stream stream_;
  RecordParser parser_;
  std::deque<std::string> records_;
  std::uint64_t offset_ = 0;
};

class One final : public Source {
 public:
  explicit One(Piece piece) : piece_(std::move(piece)) {}
  std::optional<Piece> next() override { return std::exchange(piece_, std::nullopt); }

 private:
  std::optional<Piece> piece_;
};

class Reader final : public Resource {
 public:
  Reader(std::string name, std::string kind, bool can_be_saved, Open open)
      : kind_(std::move(kind)), name_(std::move(name)), can_be_saved_(can_be_saved), open_(std::move(open)) {}
  std::string describe() const override { return str(kind_, " '", name_, "'"); }
  const std::string& kind() const { return kind_; }

  // Up to `count` pieces of one file, at least one.
  std::vector<Piece> read(Step& step, QueueResource& names, std::int64_t count) {
    const Busy busy(*this, step);
    std::vector<Piece> pieces;
    while (std::int64_t(pieces.size()) < count) {
      step.cancellation.check();
      if (!source_) {
        const std::string name = next_name(step, names);
        source_ = open_(name);
        current_ = name;
        ++started_;
      }
      std::optional<Piece> piece = read_one();
      if (piece) {
        ++produced_;
        pieces.push_back(std::move(*piece));
        continue;
      }
      source_.reset();
      finished_ = started_;
      if (!pieces.empty()) break;
    }
    return pieces;
  }

  std::int64_t produced(Step& step) {
    const Busy busy(*this, step);
    return produced_;
  }
  std::int64_t finished(Step& step) {
    const Busy busy(*this, step);
    return finished_;
  }
  void reset(Step& step) {
    const Busy busy(*this, step);
    source_.reset();
    started_ = finished_ = produced_ = 0;
    current_.clear();
  }
  std::string save(Step& step) {
    const Busy busy(*this, step);
    check_savable();
    wire::Writer out;
    out.integer(1, started_);
    out.integer(2, finished_);
    out.integer(3, produced_);
    out.bytes(4, current_);
    return out.take();
  }
  void restore(Step& step, std::string_view state) {
    const Busy busy(*this, step);
    check_savable();
    std::int64_t started = 0, finished = 0, produced = 0;
    std::string current;
    for (wire::Reader in(state); in.next();) {
      if (in.field() == 1) started = in.integer();
      if (in.field() == 2) finished = in.integer();
      if (in.field() == 3) produced = in.integer();
      if (in.field() == 4) current = in.bytes();
    }
    require(started >= 0 && finished >= 0 && produced >= 0 && finished <= started, "the state of ",
            describe(), " says that ", started, " files were begun, ", finished, " ended, and ", produced,
            " pieces given");
    source_ = started > finished ? open_(current) : nullptr;
    started_ = started, finished_ = finished, produced_ = produced;
    current_ = std::move(current);
  }

 private:
  // One at a time, without holding a mutex while it waits for the name of a file.
  class Busy {
   public:
    Busy(Reader& reader, Step& step) : reader_(reader) {
      const Waking waking(step, reader.mutex_, reader.changed_);
      std::unique_lock lock(reader.mutex_);
      while (reader.busy_) {
        step.cancellation.check();
        reader.changed_.wait(lock);
      }
      reader.busy_ = true;
    }
    ~Busy() {
      const std::lock_guard lock(reader_.mutex_);
      reader_.busy_ = false;
      reader_.changed_.notify_all();
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    Reader& reader_;
  };

  static std::string next_name(Step& step, QueueResource& names) {
    const auto dtypes = names.component_dtypes();
    require(dtypes.size() == 1 && dtypes[0] == DType::string, names.describe(),
            " does not hold names of files: elements must be one string");
    const Tensor name = std::move(names.take_one(step)[0]);
    require(name.size() == 1, "the name of a file is one string, the queue gave one of shape ", name.shape());
    return name.flat<std::string>()[0];
  }
  // A file that cannot be read further is done with: the next read goes on with the next one.
  std::optional<Piece> read_one() {
    try {
      return source_->next();
    } catch (...) {
      source_.reset();
      finished_ = started_;
      throw;
    }
  }
  void check_savable() const {
    if (!can_be_saved_) fail(Code::unimplemented, describe(), " has no state that can be saved");
  }

  const std::string kind_, name_;
  const bool can_be_saved_;
  const Open open_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false;  // guards what follows
  std::unique_ptr<Source> source_;
  std::string current_;
  std::int64_t started_ = 0, finished_ = 0, produced_ = 0;
};

// ---- kernels

std::unique_ptr<Kernel> make_reader(PrepareContext& c, const char* kind, bool can_be_saved, Open open) {
  const std::string& shared = c.attr<std::string>("shared_name");
  const std::string& name = shared.empty() ? c.node().name() : shared;
  auto reader = c.resources().find_or_create<Reader>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<Reader>(name, kind, can_be_saved, std::move(open));
  });
  require(reader->kind() == kind, "there is ", reader->describe(), " already; give one another shared_name");
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(reader))));
  return nothing_to_run();
}

std::optional<Container> container_of(const PrepareContext& c, const char* attr) {
  const std::string& type = c.attr<std::string>(attr);
  if (type.empty() || type == "NONE") return std::nullopt;
  require(type == "GZIP" || type == "ZLIB", attr, " is '", type, "'; there are '', 'GZIP' and 'ZLIB'");
  return type == "GZIP" ? Container::gzip : Container::zlib;
}

std::unique_ptr<Kernel> prepare_lines(PrepareContext& c) {
  const std::int64_t skipped = c.attr<std::int64_t>("skip_header_lines");
  require(skipped >= 0, "skip_header_lines is ", skipped, "; it must not be negative");
  return make_reader(c, "TextLineReader", false,
                     [skipped](const std::string& name) { return std::make_unique<Lines>(name, skipped); });
}

std::unique_ptr<Kernel> prepare_fixed(PrepareContext& c) {
  const std::optional<Container> container = container_of(c, "encoding");
  RecordLayout layout{c.attr<std::int64_t>("header_bytes"), c.attr<std::int64_t>("record_bytes"),
                      c.attr<std::int64_t>("footer_bytes"), c.attr<std::int64_t>("hop_bytes")};
  require(layout.header >= 0 && layout.footer >= 0 && layout.hop >= 0 && layout.record > 0,
          "header_bytes, footer_bytes and hop_bytes must not be negative, and record_bytes more than 0; they "
          "are ",
          layout.header, ", ", layout.footer, ", ", layout.hop, " and ", layout.record);
  constexpr std::int64_t kMost = std::int64_t(1) << 40;
  require(std::max({layout.header, layout.footer, layout.hop, layout.record}) <= kMost,
          "a length of more than ", kMost, " bytes");
  if (layout.hop == 0) layout.hop = layout.record;
  return make_reader(c, "FixedLengthRecordReader", false, [=](const std::string& name) {
    return std::make_unique<FixedRecords>(name, layout, container);
  });
}

std::unique_ptr<Kernel> prepare_records(PrepareContext& c) {
  const std::optional<Container> container = container_of(c, "compression_type");
  return make_reader(c, "TFRecordReader", false, [container](const std::string& name) {
    return std::make_unique<CheckedRecords>(name, container);
  });
}

std::unique_ptr<Kernel> prepare_whole(PrepareContext& c) {
  return make_reader(c, "WholeFileReader", true, [](const std::string& name) {
    return std::make_unique<One>(Piece{name, read_file(name)});
  });
}

std::unique_ptr<Kernel> prepare_identity(PrepareContext& c) {
  return make_reader(c, "IdentityReader", true, [](const std::string& name) {
    return std::make_unique<One>(Piece{name, name});
  });
}

std::unique_ptr<Kernel> prepare_read(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([](RunContext& r) {
    auto pieces = r.resource<Reader>(0).read(r.step(), r.resource<QueueResource>(1), 1);
    r.set_output(0, Tensor::scalar(std::move(pieces[0].key)));
    r.set_output(1, Tensor::scalar(std::move(pieces[0].value)));
  });
}

std::unique_ptr<Kernel> prepare_read_up_to(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([](RunContext& r) {
    const std::int64_t count = *r.input<std::int64_t>(2);
    require(count > 0, "num_records is ", count, "; ask for at least one");
    auto pieces = r.resource<Reader>(0).read(r.step(), r.resource<QueueResource>(1), count);
    const Shape shape{std::int64_t(pieces.size())};
    Tensor keys(DType::string, shape), values(DType::string, shape);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      keys.flat<std::string>()[i] = std::move(pieces[i].key);
      values.flat<std::string>()[i] = std::move(pieces[i].value);
    }
    r.set_output(0, std::move(keys));
    r.set_output(1, std::move(values));
  });
}

std::unique_ptr<Kernel> prepare_produced(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<std::int64_t>(0) = r.resource<Reader>(0).produced(r.step()); });
}

std::unique_ptr<Kernel> prepare_finished(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<std::int64_t>(0) = r.resource<Reader>(0).finished(r.step()); });
}

std::unique_ptr<Kernel> prepare_save(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) { r.set_output(0, Tensor::scalar(r.resource<Reader>(0).save(r.step()))); });
}

std::unique_ptr<Kernel> prepare_restore(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Reader>(0).restore(r.step(), *r.input<std::string>(1)); });
}

std::unique_ptr<Kernel> prepare_reset(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Reader>(0).reset(r.step()); });
}

}  // namespace

HEADRACE_KERNELS(reader) {
  add_kernel("TextLineReaderV2", prepare_lines);
  add_kernel("FixedLengthRecordReaderV2", prepare_fixed);
  add_kernel("TFRecordReaderV2", prepare_records);
  add_kernel("WholeFileReaderV2", prepare_whole);
  add_kernel("IdentityReaderV2", prepare_identity);
  add_kernel("ReaderReadV2", prepare_read);
  add_kernel("ReaderReadUpToV2", prepare_read_up_to);
  add_kernel("ReaderNumRecordsProducedV2", prepare_produced);
  add_kernel("ReaderNumWorkUnitsCompletedV2", prepare_finished);
  add_kernel("ReaderSerializeStateV2", prepare_save);
  add_kernel("ReaderRestoreStateV2", prepare_restore);
  add_kernel("ReaderResetV2", prepare_reset);
}

}  // namespace headrace
