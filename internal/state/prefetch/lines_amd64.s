#include "textflag.h"

// func Lines(base unsafe.Pointer, at *[64]uint64, n int)
TEXT ·Lines(SB), NOSPLIT, $0-24
	MOVQ base+0(FP), AX
	MOVQ at+8(FP), BX
	MOVQ n+16(FP), CX
	TESTQ CX, CX
	JLE  done

loop:
	MOVQ (BX), DX
	PREFETCHT0 (AX)(DX*1)
	ADDQ $8, BX
	DECQ CX
	JNZ  loop

done:
	RET
