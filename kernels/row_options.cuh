/* row_options.cuh - what every fast forward may be compiled with beside its sizes; the host defines what it needs. */
#pragma once

#ifndef PACK
#define PACK 1 /* heads of a K/V head that share a tile of rows: row r is query r / PACK of head r % PACK */
#endif
#ifndef SOFTCAP
#define SOFTCAP 0 /* 1: p.softcap is applied */
#endif
#ifndef TREE
#define TREE 0 /* 1: p.tree_mask is applied */
#endif
