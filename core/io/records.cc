#include "core/io/records.h"

#include <bit>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/io/crc32c.h"

namespace headrace {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths and checksums are copied as they stand");

constexpr std::size_t kHeader = 12, kFooter = 4;
constexpr std::size_t kPending = 256 << 10;  // bytes of records that are written at once

template <class T>
void put(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

template <class T>
T get(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

std::uint32_t checksum(std::string_view bytes) { return mask_crc(crc32c(bytes)); }

}  // namespace

void append_record(std::string& out, std::string_view data) {
  const std::size_t start = out.size();
  put(out, std::uint64_t(data.size()));
  put(out, checksum(std::string_view(out).substr(start, 8)));
  out.append(data);
  put(out, checksum(data));
}

// ---- writing

RecordWriter::RecordWriter(std::string path) : path_(std::move(path)), file_(File::to_write(path_)) {
  pending_.reserve(2 * kPending);
}

RecordWriter::~RecordWriter() {
  try {
    close();
  } catch (const Error&) {  // there is nobody to tell
  }
}

void RecordWriter::check_open() const {
  if (!file_) fail(Code::failed_precondition, "the writer of ", path_, " is closed");
}

// What cannot be written stays pending, at its place in the file: a disk may have room again.
void RecordWriter::drain() {
  file_->write(pending_.data(), pending_.size(), size_);
  size_ += pending_.size();
  pending_.clear();
}

void RecordWriter::write(std::string_view data) {
  const std::lock_guard lock(mutex_);
  check_open();
  append_record(pending_, data);
  if (pending_.size() >= kPending) drain();
}

void RecordWriter::flush() {
  const std::lock_guard lock(mutex_);
  check_open();
  drain();
}

void RecordWriter::close() {
  const std::lock_guard lock(mutex_);
  if (!file_) return;
  const std::string bytes = std::exchange(pending_, {});
  const File file = std::move(*file_);
  file_.reset();  // closed, whatever comes of the rest
  file.write(bytes.data(), bytes.size(), size_);
}

// ---- reading

// Whether `rest` starts with a whole record; `size` is that of the record with all around it.
bool RecordParser::next(std::string_view rest, std::string& record, std::size_t& size) const {
  const std::uint64_t at = offset_ + (pending_.size() - rest.size());
  if (rest.size() < kHeader) return false;
  if (get<std::uint32_t>(rest.substr(8)) != checksum(rest.substr(0, 8))) {
    fail(Code::data_loss, source_, ": the record at byte ", at, " has a length with a wrong checksum");
  }
  const std::uint64_t length = get<std::uint64_t>(rest);
  if (rest.size() - kHeader < kFooter || rest.size() - kHeader - kFooter < length) return false;
  const std::string_view data = rest.substr(kHeader, std::size_t(length));
  if (get<std::uint32_t>(rest.substr(kHeader + data.size())) != checksum(data)) {
    fail(Code::data_loss, source_, ": the record at byte ", at, " (", length,
         " bytes) has data with a wrong checksum");
  }
  record = data;
  size = kHeader + data.size() + kFooter;
  return true;
}

std::vector<std::string> RecordParser::feed(std::string_view piece) {
  pending_.append(piece);
  std::vector<std::string> records;
  std::size_t done = 0;
  try {
    std::string record;
    for (std::size_t size; next(std::string_view(pending_).substr(done), record, size); done += size) {
      records.push_back(std::move(record));
    }
  } catch (const Error&) {
    if (records.empty()) throw;
  }
  pending_.erase(0, done);
  offset_ += done;
  return records;
}

void RecordParser::finish() {
  feed({});  // for an error that was put off
  if (!pending_.empty()) {
    fail(Code::data_loss, source_, ": the file ends within the record at byte ", offset_,
         ", of which there are ", pending_.size(), " bytes");
  }
}

}  // namespace headrace
