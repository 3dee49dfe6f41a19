#include "textflag.h"

// func Lines(base unsafe.Pointer, at *[64]uint64, n int)
TEXT ·Lines(SB), NOSPLIT, $0-24
	MOVD base+0(FP), R0
	MOVD at+8(FP), R1
	MOVD n+16(FP), R2
	CMP  $0, R2
	BLE  done

loop:
	MOVD.P 8(R1), R3
	ADD    R0, R3, R3
	PRFM   (R3), PLDL1KEEP
	SUBS   $1, R2, R2
	BNE    loop

done:
	RET
