/* row_options.cuh - what every fast forward may be compiled with beside its sizes; the host defines what it needs. Of
 * types that is IO_T, and Q_T, KV_T or OUT_T where q, the cache or out has another. */
#pragma once

#ifndef Q_T
#define Q_T IO_T
#endif
#ifndef KV_T
#define KV_T IO_T
#endif
#ifndef OUT_T
#define OUT_T IO_T
#endif
#ifndef PACK
#define PACK 1 /* heads of a K/V head that share a tile of rows: row r is query r / PACK of head r % PACK */
#endif
#ifndef SOFTCAP
#define SOFTCAP 0 /* 1: p.softcap is applied */
#endif
#ifndef TREE
#define TREE 0 /* 1: p.tree_mask is applied */
#endif
