#include "core/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/base/error.h"

namespace headrace {

void fail_file(const char* verb, const std::string& path) {
  const int error = errno;
  const Code code = error == ENOENT || error == ENOTDIR                    ? Code::not_found
                    : error == EACCES || error == EPERM || error == EROFS  ? Code::permission_denied
                    : error == ENOSPC || error == EDQUOT || error == EFBIG ? Code::resource_exhausted
                    : error == EISDIR                                      ? Code::failed_precondition
                    : error == EINVAL || error == ENAMETOOLONG             ? Code::invalid_argument
                                                                           : Code::unknown;
  fail(code, "cannot ", verb, " '", path, "': ", std::strerror(error));
}

File File::to_read(std::string path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_file("read", path);
  return File(std::move(path), descriptor);
}

File File::to_write(std::string path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail_file("write", path);
  return File(std::move(path), descriptor);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t File::size() const {
  struct stat is;
  if (::fstat(descriptor_, &is) != 0) fail_file("read", path_);
  return std::uint64_t(is.st_size);
}

namespace {

constexpr std::size_t kMostAtOnce = std::size_t(1) << 30;  // what one call may move on any system

}  // namespace

void File::read(void* into, std::size_t size, std::uint64_t at) const {
  for (char* to = static_cast<char*>(into); size > 0;) {
    const ssize_t got = ::pread(descriptor_, to, std::min(size, kMostAtOnce), off_t(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_file("read", path_);
    if (got == 0) fail(Code::out_of_range, "the file '", path_, "' ends at byte ", at);
    to += got, at += std::uint64_t(got), size -= std::size_t(got);
  }
}

void File::write(const void* from, std::size_t size, std::uint64_t at) const {
  for (const char* bytes = static_cast<const char*>(from); size > 0;) {
    const ssize_t put = ::pwrite(descriptor_, bytes, std::min(size, kMostAtOnce), off_t(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_file("write", path_);
    bytes += put, at += std::uint64_t(put), size -= std::size_t(put);
  }
}

void File::sync() const {
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail_file("write", path_);
}

std::string read_file(const std::string& path) {
  const File file = File::to_read(path);
  std::string bytes(std::size_t(file.size()), '\0');
  file.read(bytes.data(), bytes.size(), 0);
  return bytes;
}

void write_file(const std::string& path, std::string_view bytes) {
  const File file = File::to_write(path);
  file.write(bytes.data(), bytes.size(), 0);
  file.sync();
}

bool is_file(const std::string& path) {
  struct stat is;
  return ::stat(path.c_str(), &is) == 0 && S_ISREG(is.st_mode);
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail_file("write", to);
}

void sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;  // a folder that cannot be opened cannot be synced
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace headrace
