// Files of records, as TensorFlow writes them (TFRecord files, event files). Each record is
//
//   length (8 bytes) | checksum of the length (4) | data | checksum of the data (4)
//
// in little-endian order, with masked checksums (crc32c.h).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/file.h"

namespace headrace {

// Appends the record that holds `data`.
void append_record(std::string& out, std::string_view data);

// Writes a file of records. It can be used from several threads.
class RecordWriter {
 public:
  explicit RecordWriter(std::string path);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;

  void write(std::string_view data);  // FailedPrecondition after close()
  void flush();                       // returns when everything is in the file
  void close();                       // the same, and ends it; again and again if one likes

 private:
  void check_open() const;
  void drain();

  std::mutex mutex_;
  const std::string path_;
  std::optional<File> file_;
  std::string pending_;
  std::uint64_t size_ = 0;  // of the file
};

// Takes a file in pieces as they come, and hands out the records that are complete. Nothing is believed
// before its checksum is, and no more is kept than has come.
class RecordParser {
 public:
  // `source` is the file's name, for errors.
  explicit RecordParser(std::string source) : source_(std::move(source)) {}

  // The records that `piece` completes. DataLoss if a checksum is wrong; the records before that place come
  // first, and the error with the next call.
  std::vector<std::string> feed(std::string_view piece);
  // The file has ended. DataLoss if it ends within a record.
  void finish();

 private:
  bool next(std::string_view rest, std::string& record, std::size_t& size) const;

  std::string source_;
  std::string pending_;       // what has come and is not handed out
  std::uint64_t offset_ = 0;  // of `pending_` in the file
};

}  // namespace headrace
