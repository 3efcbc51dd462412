/* flow.h - between flow.c (where a value of an expression goes), names.c (what is known of the variables of a source)
 * and indices.c, which puts both together. */
#ifndef PAH_SIM_FLOW_H
#define PAH_SIM_FLOW_H

#include "reader.h"

/* A name of a source: a variable of a function, a member of any class, a function. */
enum { NAME_MEMBER = -1, NAME_FUNCTION = -2 };
enum {
  NAME_INDEX = 1,   /* its value becomes an address */
  NAME_HASH = 2,    /* it is made by arithmetic that is meant to wrap */
  NAME_POINTER = 4, /* or an array */
  NAME_FLOAT = 8
};
struct name {
  int scope; /* the function, an item of the source; or one of those above */
  uint32_t word;
  uint8_t is;
};

/* Where the value of an expression goes. The tokens [from, to) are a remainder or shift on the way: a hash ends there.
 */
struct flow {
  int source; /* a name; of an operator its token, negative and less one */
  int to;     /* a name; ADDRESS */
  int item;   /* the function */
  int hash, hash_end;
};
enum { ADDRESS = -1 };

struct flows {
  const struct sim_reader *r;
  struct name *names;
  int name_count, name_room;
  int *buckets, bucket_count;
  struct flow *list;
  int count, room, failed;
  char *operators; /* of each token: an operator whose overflow is looked at; 2: it reaches an address */
};

/* names.c: the number of a name, which is made if it is new; -1: no memory. */
int sim_name(struct flows *f, int scope, uint32_t word);
struct name *sim_name_at(struct flows *f, int scope, uint32_t word);
void sim_names_declared(struct flows *f); /* finds pointers and floating-point numbers */
void sim_add_flow(struct flows *f, const struct flow *flow);

/* flow.c: adds where the value of what the tokens [first, end) are goes, in the function `item`. */
void sim_follow(struct flows *f, int item, int source, int first, int end);
/* Adds that it goes to the variable whose last token is at `last`: `a`, `a[i]`, `p->a`. */
void sim_flow_to(struct flows *f, int item, int source, int last, int hash, int hash_end);

#endif
