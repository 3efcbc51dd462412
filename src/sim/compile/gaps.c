/* gaps.c - the assembly of a kernel's object, with memory that belongs to nobody behind each variable: shared variables
 * and those of the device. What is touched there is out of bounds, whatever pointer led to it. And where dynamic shared
 * memory starts: behind the static memory of the kernel, as on the device, at 16 bytes or what its declaration asks
 * for. Read next: build.c, sim/check/space.c. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "device_source.h"
#include "error.h"
#include "module/content.h"

static int starts(const char *line, const char *word) {
  return !strncmp(line, word, strlen(word));
}

/* Sections of variables that may be written. */
static int is_data_section(const char *line) {
  if (starts(line, "\t.data\n") || starts(line, "\t.bss\n")) return 1;
  if (!starts(line, "\t.section\t")) return 0;
  const char *name = line + strlen("\t.section\t");
  return starts(name, ".tbss") || starts(name, ".bss") || (starts(name, ".data") && !starts(name, ".data.rel.ro"));
}

static int is_section(const char *line) {
  return starts(line, "\t.section") || starts(line, "\t.text") || starts(line, "\t.data") || starts(line, "\t.bss") ||
         starts(line, "\t.pushsection") || starts(line, "\t.popsection");
}

static int is_contents(const char *line) {
  static const char *const words[] = {"\t.zero", "\t.byte",  "\t.value", "\t.short", "\t.long",
                                      "\t.quad", "\t.octa",  "\t.ascii", "\t.asciz", "\t.string",
                                      "\t.word", "\t.xword", "\t.hword", "\t.float", "\t.double"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (starts(line, words[i])) return 1;
  return 0;
}

int sim_add_gaps(const char *from, const char *to) {
  char *text;
  size_t size;
  int status = pah_read_file("assembly", from, &text, &size);
  if (status) return status;
  FILE *f = fopen(to, "w");
  if (!f) return free(text), pah_fail(PAH_EIO, "%s: cannot be written", to);
  int in_data = 0, in_variable = 0;
  for (char *line = text, *end; line < text + size; line = end) {
    end = memchr(line, '\n', (size_t)(text + size - line));
    end = end ? end + 1 : text + size;
    if (in_variable && !is_contents(line)) {
      fprintf(f, "\t.zero %d\n", SIM_GAP);
      in_variable = 0;
    }
    if (is_section(line)) in_data = is_data_section(line);
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (in_data && colon && !strchr("\t .#", *line)) in_variable = 1;
    fwrite(line, 1, (size_t)(end - line), f);
  }
  free(text);
  return fclose(f) ? pah_fail(PAH_EIO, "%s: cannot be written", to) : PAH_OK;
}

/* ---- Where dynamic shared memory starts ---- */

struct object {
  const char *file;
  const Elf64_Shdr *sections;
  int count;
  const Elf64_Sym *symbols;
  size_t symbol_count;
  const char *strings;
};

static int is_kernel(const Elf64_Sym *s) {
  return ELF64_ST_TYPE(s->st_info) == STT_FUNC && ELF64_ST_VISIBILITY(s->st_other) == STV_PROTECTED;
}

static int has_owner(const struct object *o, const char *variable) {
  for (size_t i = 0; i < o->symbol_count; i++)
    if (is_kernel(&o->symbols[i]) && sim_is_within(variable, o->strings + o->symbols[i].st_name)) return 1;
  return 0;
}

static uint64_t static_bytes(const struct object *o, const Elf64_Sym *kernel) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < o->symbol_count; i++) {
    const Elf64_Sym *s = &o->symbols[i];
    const char *name = o->strings + s->st_name;
    if (ELF64_ST_TYPE(s->st_info) != STT_TLS || s->st_shndx == SHN_UNDEF || !strncmp(name, "_ZGV", 4)) continue;
    if (sim_is_within(name, o->strings + kernel->st_name) || !has_owner(o, name)) bytes += s->st_size;
  }
  return bytes;
}

static const Elf64_Sym *kernel_at(const struct object *o, uint32_t section, uint64_t offset) {
  for (size_t i = 0; i < o->symbol_count; i++) {
    const Elf64_Sym *s = &o->symbols[i];
    if (is_kernel(s) && s->st_shndx == section && offset >= s->st_value && offset < s->st_value + s->st_size) return s;
  }
  return NULL;
}

/* Kernels that differ in it, or none: -1. */
static int64_t common_start(const struct object *o, uint64_t align) {
  const Elf64_Sym *last = NULL;
  int64_t start = -1;
  for (int i = 0; i < o->count; i++) {
    const Elf64_Shdr *section = &o->sections[i];
    if (section->sh_type != SHT_RELA) continue;
    const Elf64_Rela *rela = (const Elf64_Rela *)(o->file + section->sh_offset);
    for (size_t n = 0; n < section->sh_size / sizeof *rela; n++) {
      const Elf64_Sym *s = &o->symbols[ELF64_R_SYM(rela[n].r_info)];
      if (ELF64_ST_TYPE(s->st_info) != STT_TLS || s->st_shndx != SHN_UNDEF) continue;
      const Elf64_Sym *kernel = kernel_at(o, section->sh_info, rela[n].r_offset);
      if (!kernel || kernel == last) continue;
      const int64_t bytes = (int64_t)((static_bytes(o, kernel) + align - 1) / align * align);
      if (start >= 0 && start != bytes) return -1;
      start = bytes;
      last = kernel;
    }
  }
  return start;
}

int sim_dynamic_start(const char *path, uint64_t align, int64_t *start) {
  char *file;
  size_t size;
  int status = pah_read_file("object", path, &file, &size);
  *start = -1;
  if (status) return status;
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
  struct object o = {file, (const Elf64_Shdr *)(file + header->e_shoff), header->e_shnum, NULL, 0, NULL};
  for (int i = 0; i < o.count; i++) {
    if (o.sections[i].sh_type != SHT_SYMTAB) continue;
    o.symbols = (const Elf64_Sym *)(file + o.sections[i].sh_offset);
    o.symbol_count = o.sections[i].sh_size / sizeof *o.symbols;
    o.strings = file + o.sections[o.sections[i].sh_link].sh_offset;
  }
  if (o.symbols) *start = common_start(&o, align);
  free(file);
  return PAH_OK;
}

/* ---- What the declarations of dynamic shared memory ask for ---- */

static int is_small_type(const struct pah_token *token) {
  static const char *const words[] = {"extern",    "__shared__", "volatile", "const",         "static",
                                      "unsigned",  "signed",     "char",     "short",         "int",
                                      "long",      "float",      "double",   "bool",          "half",
                                      "__half",    "__half2",    "half2",    "uint8_t",       "int8_t",
                                      "uint16_t",  "int16_t",    "float2",   "float4",        "uint32_t",
                                      "int32_t",   "uint64_t",   "int64_t",  "__nv_bfloat16", "__nv_bfloat162",
                                      "uint4",     "int4",       "uint2",    "int2",          "double2",
                                      "uchar",     "uint",       "T",        "std",           "byte",
                                      "__align__", "alignas",    "aligned",  "__attribute__", "__builtin_align__",
                                      "scalar_t",  "ushort",     "align"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (pah_token_is(token, words[i])) return 1;
  return 0;
}

static uint64_t asked_at(const struct pah_tokens *t, int at) {
  const struct pah_token *word = &t->list[at];
  if (!pah_token_is(word, "__align__") && !pah_token_is(word, "alignas") && !pah_token_is(word, "aligned") &&
      !pah_token_is(word, "__builtin_align__"))
    return 16;
  const struct pah_token *number = at + 2 < t->count ? &t->list[at + 2] : word;
  if (number->kind == PAH_WORD && is_small_type(number)) return 16;
  const uint64_t n = number->kind == PAH_NUMBER ? strtoull(number->at, NULL, 0) : 0;
  return n && n <= SIM_DYNAMIC_ALIGN && !(n & (n - 1)) && t->list[at + 3].mark == ')' ? n : SIM_DYNAMIC_ALIGN;
}

uint64_t sim_dynamic_alignment(const struct pah_tokens *t) {
  uint64_t most = 16;
  for (int i = 0; i < t->count; i++) {
    if (!pah_token_is(&t->list[i], "extern")) continue;
    int shared = 0, last = i;
    for (; last < t->count && t->list[last].mark != ';' && t->list[last].mark != '{'; last++)
      shared |= pah_token_is(&t->list[last], "__shared__");
    for (int k = i; shared && k < last; k++) {
      const int is_name = k + 1 < t->count && (t->list[k + 1].mark == '[' || t->list[k + 1].mark == ';');
      uint64_t asked = t->list[k].kind == PAH_WORD ? asked_at(t, k) : 16;
      if (t->list[k].kind == PAH_WORD && !is_name && !is_small_type(&t->list[k]) && t->list[k - 1].mark != '(')
        asked = SIM_DYNAMIC_ALIGN; /* a type that may ask for more */
      if (asked > most) most = asked;
    }
  }
  return most;
}
