#include "core/io/events.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/io/records.h"

namespace headrace {

EventWriter::EventWriter(const std::string& path, std::size_t max_queue, double flush_seconds)
    : path_(path), max_queue_(max_queue), flush_every_(flush_seconds), file_(std::fopen(path.c_str(), "ab")) {
  if (!file_) {
    fail(errno == EACCES   ? Code::permission_denied
         : errno == ENOENT ? Code::not_found
                           : Code::unavailable,
         "cannot write ", path, ": ", std::strerror(errno));
  }
  thread_ = std::thread([this] { write_loop(); });
}

EventWriter::~EventWriter() {
  try {
    close();
  } catch (const Error&) {  // there is nobody to tell
  }
}

void EventWriter::throw_failure() const {
  if (!failure_.empty()) fail(Code::unavailable, failure_);
}

void EventWriter::add(std::string_view event) {
  std::unique_lock lock(mutex_);
  if (max_queue_ > 0) {
    done_.wait(lock, [&] { return queued_ < max_queue_ || closing_ || !failure_.empty(); });
  }
  throw_failure();
  if (closing_) fail(Code::failed_precondition, "the writer of ", path_, " is closed; reopen it");
  append_record(queue_, event);
  ++queued_;
  flushed_ = false;
  work_.notify_one();
}

void EventWriter::flush() {
  std::unique_lock lock(mutex_);
  flush_asked_ = true;
  work_.notify_one();
  done_.wait(lock, [&] { return flushed_ || !failure_.empty(); });
  throw_failure();
}

void EventWriter::close() {
  std::thread thread;
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    thread.swap(thread_);
    work_.notify_one();
  }
  if (thread.joinable()) {
    thread.join();
    file_.reset();
  }
  std::lock_guard lock(mutex_);
  throw_failure();
}

void EventWriter::write_loop() {
  using Clock = std::chrono::steady_clock;
  auto last_flush = Clock::now();
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto has_work = [&] { return queued_ > 0 || flush_asked_ || closing_; };
    const auto due = last_flush + std::chrono::duration_cast<Clock::duration>(flush_every_);
    if (flushed_) {
      work_.wait(lock, has_work);
    } else {
      work_.wait_until(lock, due, has_work);
    }
    const std::string records = std::exchange(queue_, {});
    queued_ = 0;
    const bool ends = closing_;
    const bool flushes = flush_asked_ || ends || Clock::now() >= due;
    flush_asked_ = false;
    lock.unlock();
    bool good = std::fwrite(records.data(), 1, records.size(), file_.get()) == records.size();
    if (flushes) {
      good = std::fflush(file_.get()) == 0 && good;
      last_flush = Clock::now();
    }
    const int error = errno;
    lock.lock();
    if (!good && failure_.empty()) failure_ = str("cannot write ", path_, ": ", std::strerror(error));
    if (flushes && queued_ == 0) flushed_ = true;
    done_.notify_all();
    if (ends && queued_ == 0) return;
  }
}

}  // namespace headrace
