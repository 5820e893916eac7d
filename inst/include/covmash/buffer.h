#pragma once
// Memory aligned to cache lines, so that no register load straddles two of them. Not initialised: a fresh page costs as
// much as computing what goes into it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace covmash {

template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) { require_size(n); }

  // At least n elements; keeps no content when it grows.
  T* require_size(std::size_t n) {
    if (n > size_) {
      memory_.reset(new unsigned char[n * sizeof(T) + alignment]);
      const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
      data_ = reinterpret_cast<T*>((address + alignment - 1) / alignment * alignment);
      size_ = n;
    }
    return data_;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t alignment = 64;
  std::unique_ptr<unsigned char[]> memory_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace covmash
