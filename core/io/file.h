// Files: whole reads and writes at a place, with errors that say which file and what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace headrace {

class File {
 public:
  static File to_read(std::string path);   // NotFound if there is none
  static File to_write(std::string path);  // made anew
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  const std::string& path() const { return path_; }
  std::uint64_t size() const;
  // All of the bytes, or an Error: OutOfRange if the file ends before.
  void read(void* into, std::size_t size, std::uint64_t at) const;
  void write(const void* from, std::size_t size, std::uint64_t at) const;
  // Returns once the contents are on the disk.
  void sync() const;

 private:
  File(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);  // and syncs
bool is_file(const std::string& path);
// Replaces what is there; the names are on the disk once the folder is synced.
void rename_file(const std::string& from, const std::string& to);
void sync_folder_of(const std::string& path);

// An Error for errno.
[[noreturn]] void fail_file(const char* verb, const std::string& path);

}  // namespace headrace
