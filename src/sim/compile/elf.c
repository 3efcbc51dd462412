/* elf.c - the little that must be read of object files: which shared memory a kernel declares, and where an opened
 * object lies in memory. Variables (__device__, __constant__) are moved to memory that child processes share, so that
 * what one launch leaves in them the next one finds. Read next: build.c. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "module/content.h"
#include "error.h"
#include "build.h"

static void collect(const char *file, const Elf64_Shdr *sections, int count, FILE *names) {
  for (int i = 0; i < count; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
    const char *strings = file + sections[sections[i].sh_link].sh_offset;
    for (size_t n = 0; n < sections[i].sh_size / sizeof *symbols; n++)
      if (ELF64_ST_TYPE(symbols[n].st_info) == STT_TLS && symbols[n].st_shndx == SHN_UNDEF)
        fprintf(names, "%s\n", strings + symbols[n].st_name);
  }
}

int sim_elf_shared(const char *path, char **names, uint64_t *bytes) {
  char *file;
  size_t size, length;
  int status = pah_read_file("object", path, &file, &size);
  if (status) return status;
  FILE *f = open_memstream(names, &length);
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header->e_shoff);
  *bytes = 0;
  if (f && size > sizeof *header) {
    for (int i = 0; i < header->e_shnum; i++) {
      if (!(sections[i].sh_flags & SHF_TLS) || !sections[i].sh_size) continue;
      uint64_t align = sections[i].sh_addralign ? sections[i].sh_addralign : 1;
      *bytes = (*bytes + align - 1) / align * align + sections[i].sh_size;
    }
    collect(file, sections, header->e_shnum, f);
  }
  if (f) fclose(f);
  free(file);
  return f ? PAH_OK : pah_fail(PAH_ENOMEM, "object: no memory for %s", path);
}

/* An object may have code that runs while it is opened: constructors of static objects, and the like. To open it is the
 * host's, to run its code is not: the entries of the dynamic section that name it get numbers of ours, which the loader
 * passes over and sim_elf_start knows. What the loader would call to find a function (ifunc) cannot be put off. */
enum { OURS = 0x60000f00 };

static int is_start(int64_t tag) {
  return tag == DT_INIT || tag == DT_INIT_ARRAY || tag == DT_INIT_ARRAYSZ || tag == DT_FINI || tag == DT_FINI_ARRAY ||
         tag == DT_FINI_ARRAYSZ;
}

static int has_resolver(const char *file, const Elf64_Shdr *section) {
  const Elf64_Sym *symbols = (const Elf64_Sym *)(file + section->sh_offset);
  for (size_t n = 0; section->sh_type == SHT_SYMTAB && n < section->sh_size / sizeof *symbols; n++)
    if (ELF64_ST_TYPE(symbols[n].st_info) == STT_GNU_IFUNC) return 1;
  return 0;
}

int sim_elf_disarm(const char *path, const char *source) {
  char *file;
  size_t size;
  int status = pah_read_file("object", path, &file, &size);
  if (status) return status;
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header->e_shoff);
  for (int i = 0; i < header->e_shnum && !status; i++) {
    Elf64_Dyn *dynamic = (Elf64_Dyn *)(file + sections[i].sh_offset);
    for (size_t n = 0; sections[i].sh_type == SHT_DYNAMIC && n < sections[i].sh_size / sizeof *dynamic; n++)
      if (is_start(dynamic[n].d_tag)) dynamic[n].d_tag += OURS;
    if (has_resolver(file, &sections[i]))
      status = pah_fail(PAH_EDEVICE, "%s: has an indirect function (ifunc), which sim cannot load", source);
  }
  FILE *f = status ? NULL : fopen(path, "wbe");
  int written = f && fwrite(file, 1, size, f) == size;
  if (f && fclose(f)) written = 0;
  free(file);
  return status || written ? status : pah_fail(PAH_EIO, "%s: cannot be written", path);
}

/* ---- An opened object ---- */

typedef void start_function(int, char **, char **);

static void call(uintptr_t at) {
  start_function *f;
  memcpy(&f, &at, sizeof f);
  f(0, NULL, NULL);
}

void sim_elf_start(const struct sim_image *image) {
  struct link_map *map;
  uintptr_t init = 0, array = 0, bytes = 0;
  if (dlinfo(image->handle, RTLD_DI_LINKMAP, &map)) return;
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
    if (d->d_tag == DT_INIT + OURS) init = map->l_addr + d->d_un.d_ptr;
    if (d->d_tag == DT_INIT_ARRAY + OURS) array = map->l_addr + d->d_un.d_ptr;
    if (d->d_tag == DT_INIT_ARRAYSZ + OURS) bytes = d->d_un.d_val;
  }
  if (init) call(init);
  for (uintptr_t at = array; array && at < array + bytes; at += sizeof at) {
    uintptr_t f;
    memcpy(&f, (const void *)at, sizeof f);
    if (f && f != UINTPTR_MAX) call(f);
  }
}

struct search {
  struct sim_image *image;
  uintptr_t base;
  int found;
};

static int see_object(struct dl_phdr_info *info, size_t size, void *data) {
  struct search *s = data;
  (void)size;
  if (info->dlpi_addr != s->base) return 0;
  uintptr_t end = s->base, relro_end = 0, write_start = 0, write_end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    uintptr_t from = s->base + p->p_vaddr, to = from + p->p_memsz;
    if (p->p_type == PT_LOAD && to > end) end = to;
    if (p->p_type == PT_LOAD && p->p_flags & PF_W) write_start = from, write_end = to;
    if (p->p_type == PT_GNU_RELRO) relro_end = to;
  }
  s->image->text = (uint8_t *)s->base;
  s->image->text_end = (uint8_t *)end;
  if (relro_end > write_start) write_start = (relro_end + 4095) & ~(uintptr_t)4095;
  s->image->data = (uint8_t *)write_start;
  s->image->data_end = (uint8_t *)(write_end > write_start ? write_end : write_start);
  s->found = 1;
  return 1;
}

/* The same contents at the same addresses, in memory that a fork does not copy. */
static int share(uint8_t *from, uint8_t *to) {
  uintptr_t start = (uintptr_t)from & ~(uintptr_t)4095, end = ((uintptr_t)to + 4095) & ~(uintptr_t)4095;
  if (from >= to) return PAH_OK;
  size_t bytes = end - start;
  void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return pah_fail(PAH_ENOMEM, "sim: no memory for the variables of a module");
  memcpy(shared, (void *)start, bytes);
  if (mremap(shared, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) == MAP_FAILED) {
    munmap(shared, bytes);
    return pah_fail(PAH_ENOMEM, "sim: the variables of a module cannot be shared");
  }
  return PAH_OK;
}

uint64_t sim_image_kernel(const struct sim_image *image, int64_t i) {
  char name[48];
  snprintf(name, sizeof name, "pah_kernel_%lld", (long long)i);
  const uintptr_t *kernel = dlsym(image->handle, name);
  return kernel ? *kernel - (uintptr_t)image->text : 0;
}

int sim_image_has_kernel(const struct sim_image *image, uint64_t at) {
  for (int64_t i = 0; sim_image_kernel(image, i); i++)
    if (sim_image_kernel(image, i) == at) return 1;
  return 0;
}

int sim_elf_map(struct sim_image *image) {
  struct link_map *map;
  struct search s = {.image = image};
  if (dlinfo(image->handle, RTLD_DI_LINKMAP, &map)) return pah_fail(PAH_EIO, "%s: %s", image->path, dlerror());
  s.base = map->l_addr;
  dl_iterate_phdr(see_object, &s);
  if (!s.found) return pah_fail(PAH_EIO, "%s: is not found in memory", image->path);
  const uint64_t *bytes = dlsym(image->handle, "pah_static_shared");
  if (!bytes) return pah_fail(PAH_EIO, "%s: was not made by pah", image->path);
  image->shared_bytes = *bytes;
  const uint8_t *dynamic = dlsym(image->handle, "pah_dynamic_shared"); /* of this thread */
  const uint8_t *start = NULL;
  if (dynamic && !dlinfo(image->handle, RTLD_DI_TLS_DATA, &start) && start)
    image->dynamic_offset = (uint64_t)(dynamic - start) + 1;
  return share(image->data, image->data_end);
}
