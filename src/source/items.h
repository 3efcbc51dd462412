/* items.h - the declarations of a source: where each begins and ends, what it is, what it names. See items.c. */
#ifndef PAH_SOURCE_ITEMS_H
#define PAH_SOURCE_ITEMS_H

#include "tokens.h"

enum pah_item_kind {
  PAH_SCOPE,    /* namespace, extern "C": its members are items of their own */
  PAH_CLASS,    /* class, struct or union with its members, which are items of their own */
  PAH_FUNCTION, /* with a body or without */
  PAH_IMPORT,   /* using namespace */
  PAH_CHECK,    /* static_assert */
  PAH_LABEL,    /* public: */
  PAH_OTHER     /* a variable, an alias, an enumeration, a class that is only declared */
};

enum pah_item_flag {
  PAH_IS_KERNEL = 1,
  PAH_IS_DEVICE = 2,   /* __device__, __global__, or a variable of the device */
  PAH_IS_CONSTANT = 4, /* constexpr, consteval */
  PAH_IS_TEMPLATE = 8,
  PAH_IS_DEFAULT = 16, /* = default, = delete */
  PAH_HAS_BODY = 32,
  PAH_IS_GUIDE = 64 /* a deduction guide */
};

struct pah_item {
  int kind, flags, parent; /* parent: an item, or -1 */
  int first, last;         /* tokens */
  int open, close;         /* of the body's brackets, the opening one and past the closing one; 0: none */
  int parameters;          /* of a function: the token of the opening bracket */
  int name;                /* a token: the name of a scope, class or function; -1: none */
};

struct pah_items {
  struct pah_item *list; /* a parent before its members */
  int count, room, failed;
};

int pah_items_read(struct pah_items *items, const struct pah_tokens *t);
void pah_items_free(struct pah_items *items);

/* Calls found(data, word) for each word that the item of kind PAH_OTHER or PAH_CLASS may declare. */
void pah_item_names(const struct pah_tokens *t, const struct pah_item *item, void (*found)(void *, uint32_t word),
                    void *data);

#endif
