// sum: 32 groups of 1024
// sum float32[1000]
__kernel void KERNEL_NAME(
    __global const float *in0,
    __global float *out1
) {
    // in0: float32[300×1000]
    // out1: float32[1000]
    const int part = get_local_id(0) % 32, strand = get_local_id(0) / 32;
    const int row_number = (int)get_group_id(0) * 32 + part;
    const bool active = row_number < 1000;
    const int row = active ? row_number : 999;
    float acc_0[1];
    acc_0[0] = 0;
    #pragma unroll
    for (int turn = 0; turn < 10; turn++) {
        const int element = turn * 32 + strand;
        if (element < 300 && active) {
            const float in0_0 = in0[element * 1000 + row];
            acc_0[0] = acc_0[0] + in0_0;
        }
    }
    __local float acc_0_shared[1024];
    const int acc_0_own = (strand) * 32 + part;
    acc_0_shared[acc_0_own] = acc_0[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 8) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 256];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 512];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 768];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 2) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 64];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 128];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 192];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 1) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 32];
            acc_0[0] = acc_0[0] + acc_0_other;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float sum_0 = acc_0_shared[part];
    if (strand == 0 && active) {
        out1[row] = sum_0;
    }
}
