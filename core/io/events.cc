#include "core/io/events.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/io/records.h"

namespace headrace {

EventWriter::EventWriter(const std::string& path, std::size_t max_queue)
    : path_(path),
      max_queue_(max_queue),
      process_(getpid()),
      file_(std::fopen(path.c_str(), "ab")),
      worker_(std::make_unique<Worker>()) {
  if (!file_) {
    fail(errno == EACCES   ? Code::permission_denied
         : errno == ENOENT ? Code::not_found
                           : Code::unavailable,
         "cannot write ", path, ": ", std::strerror(errno));
  }
  // The queue is the buffer: what is written is in the file.
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
  worker_->thread = std::thread([this] { write_loop(); });
}

EventWriter::~EventWriter() {
  try {
    close();
  } catch (const Error&) {  // there is nobody to tell
  }
}

void EventWriter::check_process() const {
  if (getpid() == process_) return;
  fail(Code::failed_precondition, "the writer of ", path_, " is another process's; make one here");
}

void EventWriter::throw_failure() const {
  if (!failure_.empty()) fail(Code::unavailable, failure_);
}

void EventWriter::add(std::string_view event) {
  check_process();
  std::unique_lock lock(mutex_);
  if (max_queue_ > 0) {
    worker_->done.wait(lock, [&] {
      return queued_ < max_queue_ || queue_.size() < kMostPending || closing_ || !failure_.empty();
    });
  }
  throw_failure();
  if (closing_) fail(Code::failed_precondition, "the writer of ", path_, " is closed; reopen it");
  append_record(queue_, event);
  ++queued_;
  worker_->work.notify_one();
}

void EventWriter::flush() {
  check_process();
  std::unique_lock lock(mutex_);
  worker_->done.wait(lock, [&] { return (queued_ == 0 && !writing_) || !failure_.empty(); });
  throw_failure();
}

void EventWriter::close() {
  if (getpid() != process_) {  // nothing here can wake or end the parent's thread
    worker_.release();
    return;
  }
  std::thread thread;
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    thread.swap(worker_->thread);
    worker_->work.notify_one();
  }
  if (thread.joinable()) {
    thread.join();
    file_.reset();
  }
  std::lock_guard lock(mutex_);
  throw_failure();
}

void EventWriter::write_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    worker_->work.wait(lock, [&] { return queued_ > 0 || closing_; });
    if (queued_ == 0) return;
    const std::string records = std::exchange(queue_, {});
    queued_ = 0;
    writing_ = true;
    lock.unlock();
    const bool good = std::fwrite(records.data(), 1, records.size(), file_.get()) == records.size();
    const int error = errno;
    lock.lock();
    writing_ = false;
    if (!good && failure_.empty()) failure_ = str("cannot write ", path_, ": ", std::strerror(error));
    worker_->done.notify_all();
  }
}

}  // namespace headrace
