// exp_sum_div: 64 groups of 256
// div float32[256×500]
__kernel void KERNEL_NAME(
    __global const float *in0,
    __global float *out1
) {
    // in0: float32[256×500]
    // out1: float32[256×500]
    const int part = get_local_id(0) / 64, strand = get_local_id(0) % 64;
    const int row = (int)get_group_id(0) * 4 + part;
    float acc_0[1];
    acc_0[0] = -__builtin_inff();
    #pragma unroll
    for (int turn = 0; turn < 8; turn++) {
        const int element = turn * 64 + strand;
        if (element < 500) {
            const float in0_0 = in0[row * 500 + element];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
            acc_0[0] = in0_0 != in0_0 ? in0_0 : acc_0_best;
        }
    }
    __local float acc_0_shared[256];
    const int acc_0_own = part * 64 + strand;
    acc_0_shared[acc_0_own] = acc_0[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 16) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 16];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 32];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 48];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 4) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 4];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 8];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 12];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 1) {
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 1];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 2];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        {
            const float acc_0_other = acc_0_shared[acc_0_own + 3];
            const float acc_0_old = acc_0[0];
            const float acc_0_best = acc_0_other > acc_0_old ? acc_0_other : acc_0_old;
            acc_0[0] = acc_0_other != acc_0_other ? acc_0_other : acc_0_best;
        }
        acc_0_shared[acc_0_own] = acc_0[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float max_0 = acc_0_shared[part * 64];
    float acc_1[1];
    acc_1[0] = 0;
    float row_0[8];
    #pragma unroll
    for (int turn = 0; turn < 8; turn++) {
        const int element = turn * 64 + strand;
        if (element < 500) {
            const float in0_1 = in0[row * 500 + element];
            const float sub_0 = (in0_1 - max_0);
            const float exp_0 = lt_exp_of_negative_f32(sub_0);
            row_0[turn] = exp_0;
            acc_1[0] = acc_1[0] + exp_0;
        }
    }
    __local float acc_1_shared[256];
    const int acc_1_own = part * 64 + strand;
    acc_1_shared[acc_1_own] = acc_1[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 16) {
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 16];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 32];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 48];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        acc_1_shared[acc_1_own] = acc_1[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 4) {
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 4];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 8];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 12];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        acc_1_shared[acc_1_own] = acc_1[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (strand < 1) {
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 1];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 2];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        {
            const float acc_1_other = acc_1_shared[acc_1_own + 3];
            acc_1[0] = acc_1[0] + acc_1_other;
        }
        acc_1_shared[acc_1_own] = acc_1[0];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float sum_0 = acc_1_shared[part * 64];
    #pragma unroll
    for (int turn = 0; turn < 8; turn++) {
        const int element = turn * 64 + strand;
        if (element < 500) {
            const float div_0 = (row_0[turn] / sum_0);
            out1[row * 500 + element] = div_0;
        }
    }
}
